INSERT INTO pending (payment_id, awaited_since, wake_at, awaits, body, correlation_id, reply_to, traceparent, tracestate)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (payment_id) DO UPDATE
SET awaited_since = excluded.awaited_since, wake_at = excluded.wake_at, awaits = excluded.awaits, body = excluded.body,
    correlation_id = excluded.correlation_id, reply_to = excluded.reply_to, traceparent = excluded.traceparent, tracestate = excluded.tracestate
