SELECT event_id, idempotency_key, source, statusid, occurred_at, body
FROM outcomes
WHERE company = $1 AND occurred_at >= $2 AND occurred_at < $3
    AND ($4::timestamptz IS NULL OR (occurred_at, event_id) > ($4::timestamptz, $5::uuid))
ORDER BY occurred_at, event_id
LIMIT $6
