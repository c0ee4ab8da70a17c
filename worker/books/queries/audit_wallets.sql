-- Wallets of which not that was drawn what payments drew, or more than there is, and payments that draw though they are not booked, or
-- on a wallet of another company or currency.
-- $1 findings of a kind at most; $2, $3 currencies and the worth of their minor unit.
WITH draws AS (
    SELECT p.id, p.company, p.idempotency_key, p.currency, p.statusid, p.amount, p.wallet AS wallet_id,
           p.statusid <> 6 AND p.cancels IS NULL AS is_unbooked,
           w.company AS wallet_company, w.currency AS wallet_currency, coalesce('number ' || w.number, 'id ' || w.wallet_id) AS wallet,
           -- A wallet that has got back all that was drawn may be stated in another currency from then on.
           w.company IS DISTINCT FROM p.company
               OR w.currency IS DISTINCT FROM p.currency AND NOT p.is_cancelled AND p.cancels IS NULL AND p.amount <> 0 AS is_on_stranger
    FROM payments p
    LEFT JOIN wallets w ON w.id = p.wallet
    WHERE p.wallet IS NOT NULL
), drawn AS (
    SELECT wallet_id AS id, sum(amount) AS drawn FROM draws WHERE NOT is_unbooked GROUP BY wallet_id
), compared AS (
    SELECT w.id, w.company, coalesce('number ' || w.number, 'id ' || w.wallet_id) AS wallet, w.unconditional, w.drawn,
           coalesce(d.drawn, 0) AS drawn_summed, coalesce(c.unit, 1) AS unit
    FROM wallets w
    LEFT JOIN drawn d USING (id)
    LEFT JOIN unnest($2::text[], $3::numeric[]) AS c (currency, unit) USING (currency)
), findings AS (
    SELECT 'wallet_drawn' AS kind, id, company, NULL AS idempotency_key, wallet, format('drawn %s', drawn_summed * unit) AS expected,
           format('drawn %s', drawn * unit) AS found
    FROM compared
    WHERE drawn <> drawn_summed
    UNION ALL
    SELECT 'wallet_drawn_out_of_bounds', id, company, NULL, wallet, format('drawn 0 to %s', unconditional * unit), format('drawn %s', drawn * unit)
    FROM compared
    WHERE drawn NOT BETWEEN 0 AND unconditional
    UNION ALL
    SELECT 'draw_of_unbooked', id, company, idempotency_key, wallet, 'statusid 6 or a cancellation', 'statusid ' || statusid
    FROM draws
    WHERE is_unbooked
    UNION ALL
    SELECT 'draw_on_stranger', id, company, idempotency_key, wallet, format('a wallet of %s in %s', company, currency),
           CASE WHEN wallet_company IS NULL THEN 'no wallet ' || wallet_id ELSE format('one of %s in %s', wallet_company, wallet_currency) END
    FROM draws
    WHERE is_on_stranger
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, wallet, expected, found, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
