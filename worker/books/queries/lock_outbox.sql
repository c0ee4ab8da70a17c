-- Those of the rows that are still there, passing over what another relay is at. They stay locked.
SELECT id, event_id
FROM outbox
WHERE id = ANY ($1::bigint[])
ORDER BY id
FOR UPDATE SKIP LOCKED
