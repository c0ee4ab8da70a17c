-- One row a letter. The same arrival delivered twice by the broker counts once.
INSERT INTO dead_letters (identity, reason, company, idempotency_key, type, error, errors, routing_key, body, properties, last_message)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (identity) DO UPDATE
SET reason = excluded.reason, error = excluded.error, errors = excluded.errors, properties = excluded.properties,
    last_seen = now(), count = dead_letters.count + 1, state = 'open', last_message = excluded.last_message
WHERE dead_letters.last_message <> excluded.last_message
