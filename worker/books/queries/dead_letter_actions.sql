SELECT action, actor, why, happened_at, body_before, properties_before FROM dead_letter_actions WHERE dead_letter_id = $1 ORDER BY id
