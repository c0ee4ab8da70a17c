WITH marked AS (
    UPDATE dead_letters SET state = $2 WHERE id = ANY ($1::bigint[]) RETURNING id
)
INSERT INTO dead_letter_actions (dead_letter_id, action, actor, why)
SELECT id, $3, $4, $5 FROM marked ORDER BY id
