-- So that the draws on a few wallets can be summed without reading all payments.
CREATE INDEX payments_wallet ON payments (wallet) WHERE wallet IS NOT NULL;
