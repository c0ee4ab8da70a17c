-- Where a slice ends that begins at $1, $2 at the latest, and how many payments it has: at most $3, and about as many allocations.
WITH slice AS (
    SELECT coalesce(
        least(
            (SELECT id FROM payments WHERE id BETWEEN $1 AND $2 ORDER BY id OFFSET $3::bigint - 1 LIMIT 1),
            -- Of payments that are gone too.
            (SELECT payment_id FROM allocations WHERE payment_id BETWEEN $1 AND $2 ORDER BY payment_id OFFSET $3::bigint - 1 LIMIT 1)
        ),
        $2::bigint) AS last
)
SELECT last, (SELECT count(*) FROM payments WHERE id BETWEEN $1 AND last) AS rows FROM slice
