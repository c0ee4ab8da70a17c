SELECT id, reason, error, routing_key, body, properties, state
FROM dead_letters
WHERE id = ANY ($1::bigint[])
ORDER BY id
FOR UPDATE
