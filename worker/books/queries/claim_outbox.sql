-- A relay's number, locked under $1 until the server ends this session: also where it is not used for $2 milliseconds, since of a
-- network that is gone the server may hear nothing for hours. No row where somebody holds that number already.
WITH drawn AS (
    SELECT nextval('outbox_relays')::integer AS relay
)
SELECT relay, set_config('idle_session_timeout', $2::text, false)
FROM drawn
WHERE pg_try_advisory_lock($1, relay)
