SELECT id, reason, company, idempotency_key, type, error, first_seen, last_seen, count, state, errors, routing_key, properties, body
FROM dead_letters
WHERE id = $1
