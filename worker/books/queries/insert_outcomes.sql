INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, occurred_at, body)
SELECT w.event_id, w.company, w.payment_id, w.idempotency_key, w.source, w.statusid, $8, w.body
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::smallint[], $7::bytea[])
    AS w (event_id, company, payment_id, idempotency_key, source, statusid, body)
