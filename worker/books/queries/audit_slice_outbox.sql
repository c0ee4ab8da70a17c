-- Where a slice of at most $3 rows ends that begins at $1, $2 at the latest, and how many rows it has.
WITH slice AS (
    SELECT coalesce((SELECT id FROM outbox WHERE id BETWEEN $1 AND $2 ORDER BY id OFFSET $3::bigint - 1 LIMIT 1), $2::bigint) AS last
)
SELECT last, (SELECT count(*) FROM outbox WHERE id BETWEEN $1 AND last) AS rows FROM slice
