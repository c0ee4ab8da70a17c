-- Allocations of payments that are not booked, on invoices of another company or currency, or of amounts that cannot be.
-- $1 findings of a kind at most; $2, $3 currencies and the worth of their minor unit.
WITH compared AS (
    SELECT a.*, p.company, p.idempotency_key, p.currency, p.statusid, i.company AS invoice_company, i.currency AS invoice_currency,
           coalesce(c.unit, 1) AS unit,
           coalesce('billcode ' || i.billcode, 'jobid ' || i.jobid, 'billnum ' || i.billnum, 'reference_number ' || i.reference_number,
               'back_office_code ' || i.back_office_code, 'external_id ' || i.external_id) AS invoice
    FROM allocations a
    LEFT JOIN payments p ON p.id = a.payment_id
    LEFT JOIN invoices i ON i.id = a.invoice_id
    LEFT JOIN unnest($2::text[], $3::numeric[]) AS c (currency, unit) ON c.currency = p.currency
    WHERE p.statusid IS DISTINCT FROM 6 OR i.company IS DISTINCT FROM p.company OR i.currency IS DISTINCT FROM p.currency
        OR least(a.capital, a.interest, a.noticefee) < 0 OR a.capital + a.interest + a.noticefee > a.amount
), findings AS (
    SELECT 'allocation_of_unbooked' AS kind, a.*, 'statusid 6' AS expected, coalesce('statusid ' || statusid, 'no payment ' || payment_id) AS found
    FROM compared a
    WHERE statusid IS DISTINCT FROM 6
    UNION ALL
    SELECT 'allocation_on_stranger', a.*, format('an invoice of %s in %s', company, currency),
           CASE WHEN invoice_company IS NULL THEN 'no invoice ' || invoice_id ELSE format('one of %s in %s', invoice_company, invoice_currency) END
    FROM compared a
    WHERE company IS NOT NULL AND (invoice_company, invoice_currency) IS DISTINCT FROM (company, currency)
    UNION ALL
    SELECT 'allocation_out_of_bounds', a.*, format('0 to %s', amount * unit),
           format('capital %s, interest %s, noticefee %s', capital * unit, interest * unit, noticefee * unit)
    FROM compared a
    WHERE least(capital, interest, noticefee) < 0 OR capital + interest + noticefee > amount
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY payment_id, line) AS number, count(*) OVER (PARTITION BY kind) AS of_kind
    FROM findings
)
SELECT kind, company, idempotency_key, invoice, expected, found, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
