-- The oldest rows after $1, $2 at most, passing over what another relay is at, and all that are of another relay that lives: of any
-- number locked under $3 but $4. They stay locked.
SELECT id, event_id
FROM outbox
WHERE id > $1
  AND (relay IS NULL OR relay <> ALL (ARRAY(
      -- Read after the rows' snapshot was taken, so that no relay that wrote one of them is missing.
      SELECT objid::bigint
      FROM pg_locks
      WHERE locktype = 'advisory' AND classid = $3 AND objsubid = 2 AND objid <> $4
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  )))
ORDER BY id
LIMIT $2
FOR UPDATE SKIP LOCKED
