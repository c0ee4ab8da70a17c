-- The allocations, and from the same rows what the invoices have been allocated. A counter-entry opens an invoice that was closed.
WITH booked AS (
    INSERT INTO allocations (payment_id, line, entry, invoice_id, amount, capital, interest, noticefee, line_references, created_at)
    SELECT w.payment_id, w.line, w.entry, w.invoice_id, w.amount, w.capital, w.interest, w.noticefee, w.line_references, $10
    FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::jsonb[])
        AS w (payment_id, line, entry, invoice_id, amount, capital, interest, noticefee, line_references)
    RETURNING invoice_id, capital, interest, noticefee
), per_invoice AS (
    SELECT invoice_id, sum(capital)::bigint AS capital, sum(interest)::bigint AS interest, sum(noticefee)::bigint AS noticefee,
           bool_or(capital + interest + noticefee < 0) AS reopens
    FROM booked
    GROUP BY invoice_id
)
UPDATE invoices i
SET capital_allocated = i.capital_allocated + s.capital,
    interest_allocated = i.interest_allocated + s.interest,
    noticefee_allocated = i.noticefee_allocated + s.noticefee,
    stated_state = CASE WHEN s.reopens AND i.stated_state = 'CLOSED' THEN 'OPEN' ELSE i.stated_state END
FROM per_invoice s
WHERE i.id = s.invoice_id
