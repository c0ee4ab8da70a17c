-- What payments draw, and below zero what cancellations give back, summed for each wallet.
UPDATE wallets w
SET drawn = w.drawn + d.amount
FROM (SELECT id, sum(amount) AS amount FROM unnest($1::bigint[], $2::bigint[]) AS g (id, amount) GROUP BY id) AS d
WHERE w.id = ANY (ARRAY[d.id])
