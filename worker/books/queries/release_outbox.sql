-- Rows that a queue refused are nobody's own from now on: else every other relay that looks would read past all of them.
UPDATE outbox SET relay = NULL WHERE id = ANY ($1::bigint[]) AND relay IS NOT NULL
