-- Each name is looked up by itself, which the index serves however many there are. What waits for its day is left to wait.
UPDATE pending d
SET wake_at = $2
FROM (
    SELECT DISTINCT p.payment_id FROM unnest($1::text[]) AS w (name) JOIN pending p ON p.awaits @> ARRAY[w.name]
) awaiting
WHERE d.payment_id = awaiting.payment_id AND d.wake_at > $2 AND d.awaited_since <= $2
