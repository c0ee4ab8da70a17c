-- Booked payments of the invoices on the dates asked for.
SELECT a.invoice_id, p.paydate, a.amount AS amount_minor, p.payment_type
FROM allocations a
JOIN payments p ON p.id = ANY (ARRAY[a.payment_id])
WHERE a.invoice_id = ANY ($1::bigint[]) AND (a.entry = 'payment') IS TRUE AND p.paydate = ANY ($2::date[]) AND p.statusid = 6 AND NOT p.is_cancelled
