-- A payment that was not booked gets its new verdict, unless another worker has judged or cancelled it in the meantime.
WITH unbooked AS (
    SELECT w.*, p.id AS found
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::bytea[], $9::bigint[], $10::bigint[],
        $11::bigint[], $12::date[], $13::text[], $14::text[], $15::bigint[], $16::uuid[], $17::boolean[], $18::bigint[], $19::jsonb[],
        $21::uuid[], $22::boolean[])
        AS w (id, company, idempotency_key, source, statusid, reason, currency, fingerprint, amount, unfocused,
        surcharge, paydate, payment_type, settled_by, wallet, event_id, is_cancelled, cancels, details,
        seen_event_id, seen_cancelled)
    JOIN payments p ON p.id = w.id AND p.event_id IS NOT DISTINCT FROM w.seen_event_id AND p.is_cancelled = w.seen_cancelled
    WHERE p.statusid <> 6 AND p.cancels IS NULL
    ORDER BY p.id
    FOR UPDATE OF p
)
UPDATE payments p
SET source = u.source, statusid = u.statusid, reason = u.reason, currency = u.currency, fingerprint = u.fingerprint, amount = u.amount,
    unfocused = u.unfocused, surcharge = u.surcharge, paydate = u.paydate, payment_type = u.payment_type, settled_by = u.settled_by, wallet = u.wallet,
    event_id = u.event_id, is_cancelled = u.is_cancelled, cancels = u.cancels, details = u.details,
    updated_at = $20
FROM unbooked u
WHERE p.id = u.found
