SELECT id, reason, error FROM dead_letters WHERE company = $1 ORDER BY id LIMIT 1
