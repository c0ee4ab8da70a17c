-- Allocations of payments that are not booked, on invoices of another company or currency, or of amounts that cannot be. Those of a
-- cancellation are below zero, and a tolerance writes off all of its amount.
-- $1 findings of a kind at most; $2 to $3 the payments' ids; $4, $5 currencies and the worth of their minor unit.
WITH compared AS (
    SELECT a.*, p.company, p.idempotency_key, p.currency, p.statusid, i.company AS invoice_company, i.currency AS invoice_currency,
           coalesce(c.unit, 1) AS unit,
           coalesce('billcode ' || i.billcode, 'jobid ' || i.jobid, 'billnum ' || i.billnum, 'reference_number ' || i.reference_number,
               'back_office_code ' || i.back_office_code, 'external_id ' || i.external_id) AS invoice,
           p.statusid IS DISTINCT FROM 6 AND p.cancels IS NULL AS is_unbooked,
           -- An invoice that has got back all that was allocated to it may be stated in another currency from then on.
           i.company IS DISTINCT FROM p.company
               OR i.currency IS DISTINCT FROM p.currency AND NOT p.is_cancelled AND p.cancels IS NULL
                   AND (a.capital, a.interest, a.noticefee) <> (0, 0, 0) AS is_on_stranger,
           CASE
               WHEN a.entry = 'tolerance' AND a.capital::numeric + a.interest + a.noticefee <> a.amount THEN true
               WHEN p.cancels IS NOT NULL OR p.id IS NULL AND a.amount < 0
                   THEN greatest(a.capital, a.interest, a.noticefee) > 0 OR a.capital::numeric + a.interest + a.noticefee < a.amount
               ELSE least(a.capital, a.interest, a.noticefee) < 0 OR a.capital::numeric + a.interest + a.noticefee > a.amount
           END AS is_out_of_bounds
    FROM allocations a
    LEFT JOIN payments p ON p.id = a.payment_id
    LEFT JOIN invoices i ON i.id = a.invoice_id
    LEFT JOIN unnest($4::text[], $5::numeric[]) AS c (currency, unit) ON c.currency = p.currency
    WHERE a.payment_id BETWEEN $2 AND $3
), damaged AS MATERIALIZED (
    SELECT * FROM compared WHERE is_unbooked OR is_on_stranger OR is_out_of_bounds
), findings AS (
    SELECT 'allocation_of_unbooked' AS kind, d.*, 'statusid 6 or a cancellation' AS expected,
           coalesce('statusid ' || statusid, 'no payment ' || payment_id) AS found
    FROM damaged d
    WHERE is_unbooked
    UNION ALL
    SELECT 'allocation_on_stranger', d.*, format('an invoice of %s in %s', company, currency),
           CASE WHEN invoice_company IS NULL THEN 'no invoice ' || invoice_id ELSE format('one of %s in %s', invoice_company, invoice_currency) END
    FROM damaged d
    WHERE is_on_stranger AND company IS NOT NULL
    UNION ALL
    SELECT 'allocation_out_of_bounds', d.*,
           CASE entry WHEN 'tolerance' THEN format('%s in all', amount * unit) ELSE format('0 to %s', amount * unit) END,
           format('capital %s, interest %s, noticefee %s', capital * unit, interest * unit, noticefee * unit)
    FROM damaged d
    WHERE is_out_of_bounds
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY payment_id, line, entry) AS number, count(*) OVER (PARTITION BY kind) AS of_kind
    FROM findings
)
SELECT kind, company, idempotency_key, invoice, NULL AS wallet, expected, found,
       format('allocation of payment %s, line %s, entry %s', payment_id, line, entry) AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
