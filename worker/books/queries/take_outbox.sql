-- The next events to publish, passing over what another worker is publishing just now.
SELECT b.id, b.event_id, b.replayed, b.correlation_id, b.reply_to, b.traceparent, b.tracestate,
       o.company, o.idempotency_key, o.source, o.statusid, o.body
FROM outbox b
JOIN outcomes o USING (event_id)
ORDER BY b.id
LIMIT $1
FOR UPDATE OF b SKIP LOCKED
