-- The payments will not be booked any more, or are booked no more. They are held.
UPDATE payments
SET is_cancelled = true, updated_at = $2
WHERE id = ANY ($1::bigint[])
