-- Wallets of which not that was drawn what payments drew, or more than there is.
-- $1 findings of a kind at most; $2 to $3 the wallets' ids; $4, $5 currencies and the worth of their minor unit.
WITH draws AS (
    SELECT wallet AS id, sum(amount) AS drawn
    FROM payments
    WHERE wallet IS NOT NULL AND wallet BETWEEN $2 AND $3 AND (statusid = 6 OR cancels IS NOT NULL)
    GROUP BY wallet
), compared AS (
    SELECT w.id, w.company, coalesce('number ' || w.number, 'id ' || w.wallet_id) AS wallet, w.unconditional, w.drawn,
           coalesce(d.drawn, 0) AS drawn_summed, coalesce(c.unit, 1) AS unit
    FROM wallets w
    LEFT JOIN draws d USING (id)
    LEFT JOIN unnest($4::text[], $5::numeric[]) AS c (currency, unit) USING (currency)
    WHERE w.id BETWEEN $2 AND $3
), findings AS (
    SELECT 'wallet_drawn' AS kind, id, company, wallet, format('drawn %s', drawn_summed * unit) AS expected,
           format('drawn %s', drawn * unit) AS found
    FROM compared
    WHERE drawn <> drawn_summed
    UNION ALL
    SELECT 'wallet_drawn_out_of_bounds', id, company, wallet, format('drawn 0 to %s', unconditional * unit), format('drawn %s', drawn * unit)
    FROM compared
    WHERE drawn NOT BETWEEN 0 AND unconditional
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, NULL AS idempotency_key, NULL AS invoice, wallet, expected, found, 'wallet ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
