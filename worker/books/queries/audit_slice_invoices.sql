-- Where a slice ends that begins at $1, $2 at the latest, and how many invoices it has: at most $3, and about as many allocations, unless
-- one invoice alone has more.
WITH slice AS (
    SELECT coalesce(
        least(
            (SELECT id FROM invoices WHERE id BETWEEN $1 AND $2 ORDER BY id OFFSET $3::bigint - 1 LIMIT 1),
            (SELECT invoice_id FROM allocations WHERE invoice_id BETWEEN $1 AND $2 ORDER BY invoice_id OFFSET $3::bigint - 1 LIMIT 1)
        ),
        $2::bigint) AS last
)
SELECT last, (SELECT count(*) FROM invoices WHERE id BETWEEN $1 AND last) AS rows FROM slice
