INSERT INTO wallets (company, wallet_id, number, currency, version, unconditional, conditional)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING *
