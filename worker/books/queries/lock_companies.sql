-- Whoever states wallets of a company waits here for whoever does so already: of two that put one new wallet, the second sees the first's.
SELECT FROM companies WHERE company = ANY ($1) ORDER BY company FOR NO KEY UPDATE
