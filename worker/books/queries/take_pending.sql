-- Payments whose time has come. Their next time is set at once, so that a worker that dies with them loses nothing; the longer
-- one has waited, the less often it is asked about, since the arrival of its invoice wakes it anyway.
WITH due AS (
    SELECT payment_id FROM pending WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE pending d
SET wake_at = $1::timestamptz + least(greatest(($1 - d.awaited_since) / 10, make_interval(secs => $3)), make_interval(secs => $4))
FROM due, payments p
WHERE d.payment_id = ANY (ARRAY[due.payment_id]) AND p.id = ANY (ARRAY[due.payment_id])
RETURNING p.company, p.idempotency_key, p.fingerprint, p.source, d.body, d.correlation_id, d.reply_to, d.traceparent, d.tracestate
