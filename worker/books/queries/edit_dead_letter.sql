-- The body that the letter had is kept with what was done: a dead letter loses nothing.
WITH edited AS (
    UPDATE dead_letters d
    SET body = $2, identity = $3
    FROM dead_letters before
    WHERE d.id = $1 AND before.id = d.id
    RETURNING d.id, before.body AS body_before
)
INSERT INTO dead_letter_actions (dead_letter_id, action, actor, why, body_before)
SELECT id, $4, $5, $6, body_before FROM edited
