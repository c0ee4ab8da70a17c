-- How many of the payments are still as they were read; those stay locked.
SELECT count(*)
FROM (
    SELECT p.id
    FROM unnest($1::bigint[], $2::uuid[], $3::boolean[]) AS w (id, seen_event_id, seen_cancelled)
    JOIN payments p ON p.id = ANY (ARRAY[w.id]) AND p.event_id IS NOT DISTINCT FROM w.seen_event_id AND p.is_cancelled = w.seen_cancelled
    ORDER BY w.id -- to order by p.id could be a reason to read its index from end to end
    FOR UPDATE OF p
) AS held
