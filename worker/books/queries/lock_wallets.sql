-- The wallets that go by any of the names or ids, locked in one order for all workers so that no two wait for each other.
SELECT w.*
FROM wallets w
WHERE w.id = ANY (ARRAY(
    SELECT (SELECT n.id FROM wallets n WHERE n.company = g.company AND n.wallet_id = g.value)
    FROM unnest($1::text[], $2::text[]) AS g (company, value)
    UNION ALL
    SELECT (SELECT n.id FROM wallets n WHERE n.company = g.company AND n.number = g.value)
    FROM unnest($3::text[], $4::text[]) AS g (company, value)
    UNION ALL
    SELECT unnest($5::bigint[])
))
ORDER BY w.id
FOR NO KEY UPDATE OF w
