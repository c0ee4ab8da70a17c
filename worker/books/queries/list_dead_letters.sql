SELECT id, reason, company, idempotency_key, type, error, first_seen, last_seen, count, state
FROM dead_letters
WHERE ($1::text IS NULL OR reason = $1) AND ($2::text IS NULL OR company = $2) AND ($3::text IS NULL OR state = $3)
ORDER BY id DESC
LIMIT $4
