-- The events of the first of these rows, by id, $2 bytes of their bodies at most, unless the first has more. A row whose event is
-- gone, which the audit tells of, comes without one.
WITH measured AS (
    SELECT b.id, b.event_id, b.replayed, b.correlation_id, b.reply_to, b.traceparent, b.tracestate,
           o.company, o.idempotency_key, o.source, o.statusid, o.body,
           sum(coalesce(octet_length(o.body), 0)) OVER (ORDER BY b.id) AS bytes
    FROM outbox b
    LEFT JOIN outcomes o ON o.event_id = ANY (ARRAY[b.event_id])
    WHERE b.id = ANY ($1::bigint[])
)
SELECT id, event_id, replayed, correlation_id, reply_to, traceparent, tracestate,
       company, idempotency_key, source, statusid, body
FROM measured
WHERE bytes <= $2 OR bytes = coalesce(octet_length(body), 0)
ORDER BY id
