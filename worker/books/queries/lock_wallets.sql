-- The wallets that go by any of the names or ids, locked in one order for all workers so that no two wait for each other.
SELECT w.*
FROM wallets w
WHERE w.id = ANY (ARRAY(
    SELECT n.id FROM unnest($1::text[], $2::text[]) AS g (company, value) JOIN wallets n ON n.company = g.company AND n.wallet_id = g.value
    UNION ALL
    SELECT n.id FROM unnest($3::text[], $4::text[]) AS g (company, value) JOIN wallets n ON n.company = g.company AND n.number = g.value
    UNION ALL
    SELECT unnest($5::bigint[])
))
ORDER BY w.id
FOR NO KEY UPDATE OF w
