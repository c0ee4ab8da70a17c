-- Invoices that were not allocated what their allocations sum up to, and those with an open amount below zero.
-- $1 findings of a kind at most; $2 to $3 the invoices' ids; $4, $5 currencies and the worth of their minor unit.
WITH allocated AS (
    SELECT invoice_id, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee
    FROM allocations
    WHERE invoice_id BETWEEN $2 AND $3
    GROUP BY invoice_id
), compared AS (
    SELECT i.*, coalesce(c.unit, 1) AS unit, coalesce(a.capital, 0) AS capital_summed, coalesce(a.interest, 0) AS interest_summed,
           coalesce(a.noticefee, 0) AS noticefee_summed
    FROM invoices i
    LEFT JOIN allocated a ON a.invoice_id = i.id
    LEFT JOIN unnest($4::text[], $5::numeric[]) AS c (currency, unit) USING (currency)
    WHERE i.id BETWEEN $2 AND $3
), findings AS (
    SELECT 'invoice_allocated' AS kind, i.*,
           format('allocated capital %s, interest %s, noticefee %s', capital_summed * unit, interest_summed * unit, noticefee_summed * unit)
               AS expected,
           format('allocated capital %s, interest %s, noticefee %s', capital_allocated * unit, interest_allocated * unit,
               noticefee_allocated * unit) AS found
    FROM compared i
    WHERE capital_allocated <> capital_summed OR interest_allocated <> interest_summed OR noticefee_allocated <> noticefee_summed
    UNION ALL
    SELECT 'invoice_open_below_zero', i.*, 'nothing open below zero',
           format('open capital %s, interest %s, noticefee %s', (capital - capital_allocated) * unit, (interest - interest_allocated) * unit,
               (noticefee - noticefee_allocated) * unit)
    FROM compared i
    WHERE least(capital - capital_allocated, interest - interest_allocated, noticefee - noticefee_allocated) < 0
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, NULL AS idempotency_key,
       coalesce('billcode ' || billcode, 'jobid ' || jobid, 'billnum ' || billnum, 'reference_number ' || reference_number,
           'back_office_code ' || back_office_code, 'external_id ' || external_id) AS invoice,
       NULL AS wallet, expected, found, 'invoice ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
