-- A relay's number, locked under $1 until this session ends. No row where somebody holds that number already.
WITH drawn AS MATERIALIZED (
    SELECT nextval('outbox_relays')::integer AS relay
)
SELECT relay
FROM drawn
WHERE pg_try_advisory_lock($1, relay)
