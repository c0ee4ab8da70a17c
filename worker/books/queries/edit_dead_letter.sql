UPDATE dead_letters SET body = $2, identity = $3 WHERE id = $1
