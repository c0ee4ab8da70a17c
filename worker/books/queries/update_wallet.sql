UPDATE wallets
SET wallet_id = $2, number = $3, currency = $4, version = $5, unconditional = $6, conditional = $7
WHERE id = $1
RETURNING *
