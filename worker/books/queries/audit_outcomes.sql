-- Outcomes of no payment, outcomes that tell of a booking or a cancellation that the payment does not hold, and the outbox's rows
-- without an outcome.
-- $1 findings of a kind at most.
WITH findings AS (
    SELECT 'outcome_without_payment' AS kind, o.event_id, o.company, o.idempotency_key, format('payment %s of this key', o.payment_id) AS expected,
           CASE WHEN p.id IS NULL THEN 'no such payment' ELSE format('that of %s, key %s', p.company, p.idempotency_key) END AS found
    FROM outcomes o
    LEFT JOIN payments p ON p.id = o.payment_id
    WHERE (p.company, p.idempotency_key) IS DISTINCT FROM (o.company, o.idempotency_key)
    UNION ALL
    SELECT 'outcome_of_another_booking', o.event_id, o.company, o.idempotency_key,
           coalesce('event ' || p.event_id, 'no event'), 'event ' || o.event_id
    FROM outcomes o
    JOIN payments p ON p.id = o.payment_id
    -- Of the cancelled ones only a cancellation that was done is a booking. Its bytes say so, also where they are no JSON any more.
    WHERE o.event_id IS DISTINCT FROM p.event_id
        AND (o.statusid = 6 OR o.statusid = 11 AND position('"statusid":11,"status":"CANCELLED","reason":"cancelled",'::bytea IN o.body) > 0)
    UNION ALL
    SELECT 'outbox_without_outcome', b.event_id, NULL, NULL, format('an outcome for outbox row %s', b.id), format('no event %s', b.event_id)
    FROM outbox b
    LEFT JOIN outcomes o USING (event_id)
    WHERE o.event_id IS NULL
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY event_id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, NULL AS wallet, expected, found, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
