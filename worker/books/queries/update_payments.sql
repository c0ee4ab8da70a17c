-- The new verdicts of payments that were not booked. They are held.
UPDATE payments p
SET source = w.source, statusid = w.statusid, reason = w.reason, currency = w.currency, fingerprint = w.fingerprint, amount = w.amount,
    unfocused = w.unfocused, surcharge = w.surcharge, paydate = w.paydate, payment_type = w.payment_type, settled_by = w.settled_by, wallet = w.wallet,
    event_id = w.event_id, is_cancelled = w.is_cancelled, cancels = w.cancels, details = w.details,
    updated_at = $2
FROM unnest($1::payment_row[]) AS w
WHERE p.id = ANY (ARRAY[w.id])
