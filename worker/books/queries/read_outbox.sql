-- The events of the first of these rows, by id, $2 bytes of their bodies at most, unless the first has more.
WITH measured AS (
    SELECT b.id, b.event_id, b.replayed, b.correlation_id, b.reply_to, b.traceparent, b.tracestate,
           o.company, o.idempotency_key, o.source, o.statusid, o.body,
           sum(octet_length(o.body)) OVER (ORDER BY b.id) - octet_length(o.body) AS bytes_before
    FROM outbox b
    JOIN outcomes o USING (event_id)
    WHERE b.id = ANY ($1::bigint[])
)
SELECT id, event_id, replayed, correlation_id, reply_to, traceparent, tracestate,
       company, idempotency_key, source, statusid, body
FROM measured
WHERE bytes_before = 0 OR bytes_before + octet_length(body) <= $2
ORDER BY id
