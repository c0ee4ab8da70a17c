DELETE FROM pending WHERE payment_id = ANY ($1::bigint[])
