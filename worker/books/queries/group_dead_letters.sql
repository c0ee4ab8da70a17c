-- A group's name is made of what it has in common, as choose_dead_letters.sql makes it again.
SELECT left(md5(json_build_array(reason, company, type)::text), 12) AS "group", reason, company, type, count(*) AS count,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM dead_letters
WHERE state = $1
GROUP BY reason, company, type
ORDER BY count(*) DESC, reason, company, type
