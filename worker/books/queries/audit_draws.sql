-- Payments that draw on a wallet though they are not booked, or on one of another company or currency.
-- $1 findings of a kind at most; $2 to $3 the payments' ids.
WITH draws AS (
    SELECT p.id, p.company, p.idempotency_key, p.currency, p.statusid, p.wallet AS wallet_id,
           p.statusid <> 6 AND p.cancels IS NULL AS is_unbooked,
           w.company AS wallet_company, w.currency AS wallet_currency, coalesce('number ' || w.number, 'id ' || w.wallet_id) AS wallet,
           -- A wallet that has got back all that was drawn may be stated in another currency from then on.
           w.company IS DISTINCT FROM p.company
               OR w.currency IS DISTINCT FROM p.currency AND NOT p.is_cancelled AND p.cancels IS NULL AND p.amount <> 0 AS is_on_stranger
    FROM payments p
    LEFT JOIN wallets w ON w.id = p.wallet
    WHERE p.wallet IS NOT NULL AND p.id BETWEEN $2 AND $3
), findings AS (
    SELECT 'draw_of_unbooked' AS kind, id, company, idempotency_key, wallet, 'statusid 6 or a cancellation' AS expected,
           'statusid ' || statusid AS found
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
SELECT kind, company, idempotency_key, NULL AS invoice, wallet, expected, found, 'payment ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
