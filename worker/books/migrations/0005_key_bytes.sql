-- In a database whose encoding is SQL_ASCII length() counts bytes, of which each character may have four.
ALTER TABLE payments
    DROP CONSTRAINT payments_idempotency_key_check,
    ADD CONSTRAINT payments_idempotency_key_bytes CHECK (octet_length(idempotency_key) BETWEEN 1 AND 1020);
