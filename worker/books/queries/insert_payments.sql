-- A key that another worker has taken in the meantime inserts nothing, and the caller undoes the batch.
INSERT INTO payments (id, company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency, paydate, payment_type, event_id, created_at, updated_at)
SELECT w.id, w.company, w.idempotency_key, w.fingerprint, w.source, w.statusid, w.reason, w.amount, w.unfocused, w.currency, w.paydate, w.payment_type, w.event_id, $14, $14
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::smallint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::date[], $12::text[], $13::uuid[])
    AS w (id, company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency, paydate, payment_type, event_id)
ORDER BY w.company, w.idempotency_key
ON CONFLICT DO NOTHING
