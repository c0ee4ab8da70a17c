-- Undone payments that were cancelled are looked at now, so that they get their last event.
UPDATE pending SET wake_at = $2 WHERE payment_id = ANY ($1::bigint[])
