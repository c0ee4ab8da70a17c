-- The next events to publish, passing over what another worker is publishing just now.
-- $1 the row after which to begin, $2 rows at most, $3 bytes of their bodies at most, unless the first has more.
WITH taken AS (
    SELECT id, event_id, replayed, correlation_id, reply_to, traceparent, tracestate
    FROM outbox
    WHERE id > $1
    ORDER BY id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT t.*, o.company, o.idempotency_key, o.source, o.statusid, o.body,
           sum(octet_length(o.body)) OVER (ORDER BY t.id) - octet_length(o.body) AS bytes_before
    FROM taken t
    JOIN outcomes o USING (event_id)
)
SELECT id, event_id, replayed, correlation_id, reply_to, traceparent, tracestate,
       company, idempotency_key, source, statusid, body
FROM measured
WHERE bytes_before = 0 OR bytes_before + octet_length(body) <= $3
ORDER BY id
