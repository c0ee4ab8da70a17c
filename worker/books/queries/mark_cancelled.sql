-- The payments will not be booked any more, or are booked no more; unless another worker has been at one of them meanwhile.
WITH named AS (
    SELECT p.id
    FROM unnest($1::bigint[], $2::uuid[]) AS w (id, seen_event_id)
    JOIN payments p ON p.id = w.id AND p.event_id IS NOT DISTINCT FROM w.seen_event_id
    WHERE NOT p.is_cancelled
    ORDER BY p.id
    FOR UPDATE OF p
)
UPDATE payments p
SET is_cancelled = true, updated_at = $3
FROM named
WHERE p.id = named.id
