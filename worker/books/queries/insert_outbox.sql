INSERT INTO outbox (event_id, replayed, correlation_id, reply_to, traceparent, tracestate)
SELECT w.event_id, w.replayed, w.correlation_id, w.reply_to, w.traceparent, w.tracestate
FROM unnest($1::uuid[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
    AS w (event_id, replayed, correlation_id, reply_to, traceparent, tracestate, ord)
ORDER BY w.ord
