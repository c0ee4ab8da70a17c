-- Payments left undone that no worker will look at again, and those it would look at though they are decided.
-- $1 findings of a kind at most; $2 to $3 the payments' ids.
WITH findings AS (
    SELECT 'pending_missing' AS kind, p.id, p.company, p.idempotency_key, 'a pending row, as it is undone' AS expected, 'none' AS found
    FROM payments p
    WHERE p.statusid = 0 AND p.id BETWEEN $2 AND $3 AND NOT EXISTS (SELECT FROM pending d WHERE d.payment_id = p.id)
    UNION ALL
    SELECT 'pending_of_decided', d.payment_id, p.company, p.idempotency_key, 'statusid 0, as there is a pending row',
           coalesce('statusid ' || p.statusid, 'no payment ' || d.payment_id)
    FROM pending d
    LEFT JOIN payments p ON p.id = d.payment_id
    WHERE d.payment_id BETWEEN $2 AND $3 AND p.statusid IS DISTINCT FROM 0
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, NULL AS wallet, expected, found, 'payment ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
