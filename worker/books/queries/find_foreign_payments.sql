-- Which of the keys another company holds a payment under. Says no more than that. The index of the keys is asked once for each
-- company: a cancellation of what nobody knows is rare, and an index for it would cost every payment.
SELECT w.ord
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (company, idempotency_key, ord)
WHERE EXISTS (
    SELECT
    FROM companies c
    WHERE c.company <> w.company
        AND (SELECT p.event_id FROM payments p WHERE p.company = c.company AND p.idempotency_key = w.idempotency_key) IS NOT NULL
)
