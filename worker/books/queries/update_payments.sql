-- A payment that was not booked gets its new verdict, unless another worker has judged it in the meantime.
WITH unbooked AS (
    SELECT w.*, p.id AS found
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::smallint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::date[], $12::text[], $13::uuid[], $15::uuid[])
        AS w (id, company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency, paydate, payment_type, event_id, seen_event_id)
    JOIN payments p ON p.id = w.id AND p.event_id = w.seen_event_id
    WHERE p.statusid <> 6
    ORDER BY p.id
    FOR UPDATE OF p
)
UPDATE payments p
SET fingerprint = u.fingerprint, source = u.source, statusid = u.statusid, reason = u.reason, amount = u.amount, unfocused = u.unfocused,
    currency = u.currency, paydate = u.paydate, payment_type = u.payment_type, event_id = u.event_id, updated_at = $14
FROM unbooked u
WHERE p.id = u.found
