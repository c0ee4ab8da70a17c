-- The rows $1, as far as they still stand for the events $2: in books that were put back to an earlier state an id may not.
DELETE FROM outbox b
USING unnest($1::bigint[], $2::uuid[]) AS told (id, event_id)
WHERE b.id = ANY (ARRAY[told.id]) AND b.event_id = told.event_id
