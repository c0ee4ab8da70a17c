SELECT event_id, idempotency_key, source, statusid, occurred_at, body, correlation_id
FROM outcomes
WHERE company = $1 AND (occurred_at, event_id) > ($2::timestamptz, $3::uuid) AND occurred_at < $4
ORDER BY occurred_at, event_id
LIMIT $5
