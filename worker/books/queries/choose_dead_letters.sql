-- Letters that nobody has dealt with: all of them, those of a reason, or those of a group.
SELECT id
FROM dead_letters
WHERE state = 'open' AND ($1::text IS NULL OR reason = $1)
    AND ($2::text IS NULL OR left(md5(json_build_array(reason, company, type)::text), 12) = $2)
ORDER BY id
