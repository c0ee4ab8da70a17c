-- What booked payments put where, line by line.
SELECT p.id, p.currency, p.paydate, p.payment_type, p.settled_by, p.surcharge, p.wallet,
       a.invoice_id, a.amount, a.capital, a.interest, a.noticefee, a.line_references,
       coalesce(t.capital, 0) AS capital_written_off, coalesce(t.interest, 0) AS interest_written_off,
       coalesce(t.noticefee, 0) AS noticefee_written_off
FROM payments p
JOIN allocations a ON a.payment_id = ANY (ARRAY[p.id]) AND (a.entry = 'payment') IS TRUE
LEFT JOIN allocations t ON t.payment_id = ANY (ARRAY[a.payment_id]) AND t.line = a.line AND (t.entry = 'tolerance') IS TRUE
WHERE p.id = ANY ($1::bigint[])
ORDER BY p.id, a.line
