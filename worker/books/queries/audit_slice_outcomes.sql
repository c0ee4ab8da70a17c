-- Where a slice of at most $3 rows ends that begins at $1, $2 at the latest, and how many rows it has.
WITH slice AS (
    SELECT coalesce(
        (SELECT event_id FROM outcomes WHERE event_id BETWEEN $1 AND $2 ORDER BY event_id OFFSET $3::bigint - 1 LIMIT 1), $2::uuid) AS last
)
SELECT last, (SELECT count(*) FROM outcomes WHERE event_id BETWEEN $1 AND last) AS rows FROM slice
