-- A company's wallets, or of them the one with that wallet_id or that number.
SELECT *
FROM wallets
WHERE company = $1 AND ($2::text IS NULL OR wallet_id = $2) AND ($3::text IS NULL OR number = $3)
ORDER BY id
