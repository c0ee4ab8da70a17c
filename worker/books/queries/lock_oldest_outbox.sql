-- The oldest rows after $1, $2 at most, passing over what another relay is at. They stay locked.
SELECT id, event_id
FROM outbox
WHERE id > $1
ORDER BY id
LIMIT $2
FOR UPDATE SKIP LOCKED
