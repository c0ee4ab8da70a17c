-- Each name is looked up by itself, which the index serves however many there are. What waits for its day is left to wait.
UPDATE pending
SET wake_at = $2
WHERE (wake_at > $2) IS TRUE AND awaited_since <= $2
    AND payment_id = ANY (ARRAY(SELECT p.payment_id FROM unnest($1::text[]) AS w (name) JOIN pending p ON p.awaits @> ARRAY[w.name]))
