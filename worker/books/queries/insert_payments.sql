-- A key that another worker has taken in the meantime inserts nothing, and the caller undoes the batch.
INSERT INTO payments (id, company, idempotency_key, source, statusid, reason, currency, fingerprint, amount, unfocused,
    surcharge, paydate, payment_type, settled_by, wallet, event_id, is_cancelled, cancels, details,
    created_at, updated_at)
SELECT w.id, w.company, w.idempotency_key, w.source, w.statusid, w.reason, w.currency, w.fingerprint, w.amount, w.unfocused,
    w.surcharge, w.paydate, w.payment_type, w.settled_by, w.wallet, w.event_id, w.is_cancelled, w.cancels, w.details,
    $20, $20
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::bytea[], $9::bigint[], $10::bigint[],
    $11::bigint[], $12::date[], $13::text[], $14::text[], $15::bigint[], $16::uuid[], $17::boolean[], $18::bigint[], $19::jsonb[])
    AS w (id, company, idempotency_key, source, statusid, reason, currency, fingerprint, amount, unfocused,
    surcharge, paydate, payment_type, settled_by, wallet, event_id, is_cancelled, cancels, details)
ORDER BY w.company, w.idempotency_key
ON CONFLICT DO NOTHING
