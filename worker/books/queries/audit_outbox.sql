-- Rows of the outbox whose event is gone, so that nothing can be published for them.
-- $1 findings of a kind at most; $2 to $3 the rows' ids.
WITH findings AS (
    SELECT 'outbox_without_outcome' AS kind, b.id, format('an outcome for outbox row %s', b.id) AS expected, format('no event %s', b.event_id) AS found
    FROM outbox b
    LEFT JOIN outcomes o USING (event_id)
    WHERE o.event_id IS NULL AND b.id BETWEEN $2 AND $3
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, NULL AS company, NULL AS idempotency_key, NULL AS invoice, NULL AS wallet, expected, found, 'outbox row ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
