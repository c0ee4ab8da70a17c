-- What the letter had in the place of what is new is kept with what was done: a dead letter loses nothing.
WITH edited AS (
    UPDATE dead_letters d
    SET body = $2, properties = $3, type = $4, idempotency_key = $5, identity = $6
    FROM dead_letters before
    WHERE d.id = $1 AND before.id = d.id
    RETURNING d.id,
              CASE WHEN before.body <> d.body THEN before.body END AS body_before,
              CASE WHEN before.properties::text <> d.properties::text THEN before.properties END AS properties_before
)
INSERT INTO dead_letter_actions (dead_letter_id, action, actor, why, body_before, properties_before)
SELECT id, $7, $8, $9, body_before, properties_before FROM edited
