-- What is held under each key, and beside that, row by row, the invoices that go by any of the names or that the payments to be
-- cancelled were booked on: locked in one order for all workers so that no two wait for each other.
-- $1 companies and $2 keys, $3 which of them are to be cancelled; $4 companies, $5 kinds and $6 values of the names.
-- $7 companies whose policies the requests were read by, $8 the versions of their rows: is_stale where one is no longer so.
-- A key that is new gets its payment id here.
--
-- Planned once for a session: to plan it takes as long as to run it for twenty payments. So each table is asked in a query of its own,
-- which has but one good plan, and an array comes as the result of a query, which keeps the planner from counting what is in it.
WITH held AS (
    SELECT w.ord, w.is_to_be_cancelled, coalesce(p.id, nextval('payments_id_seq')) AS payment_id, p.fingerprint, p.statusid, p.event_id,
           p.currency AS held_currency,
           (SELECT d.awaited_since FROM pending d WHERE d.payment_id = p.id) AS awaited_since,
           coalesce(p.is_cancelled, false) AS is_cancelled, p.cancels IS NOT NULL AS is_cancellation
    FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::boolean[]))
        WITH ORDINALITY AS w (company, idempotency_key, is_to_be_cancelled, ord)
    LEFT JOIN LATERAL (
        SELECT * FROM payments p WHERE p.company = w.company AND p.idempotency_key = w.idempotency_key LIMIT 1
    ) p ON true
), locked AS (
    -- The ids are an array: a row that had to be waited for is judged anew, and against a join or IN it can then be missed.
    SELECT i.*
    FROM invoices i
    WHERE i.id = ANY (ARRAY(
        SELECT CASE w.kind
            WHEN 'billcode' THEN (SELECT n.id FROM invoices n WHERE n.billcode = w.value AND n.company = w.company)
            WHEN 'jobid' THEN (SELECT n.id FROM invoices n WHERE n.jobid = w.value::bigint AND n.company = w.company)
            WHEN 'billnum' THEN (SELECT n.id FROM invoices n WHERE n.billnum = w.value AND n.company = w.company)
            WHEN 'reference_number' THEN (SELECT n.id FROM invoices n WHERE n.reference_number = w.value AND n.company = w.company)
            WHEN 'back_office_code' THEN (SELECT n.id FROM invoices n WHERE n.back_office_code = w.value AND n.company = w.company)
            WHEN 'external_id' THEN (SELECT n.id FROM invoices n WHERE n.external_id = w.value AND n.company = w.company)
        END
        FROM unnest((SELECT $4::text[]), (SELECT $5::text[]), (SELECT $6::text[])) AS w (company, kind, value)
        UNION ALL
        SELECT unnest(ARRAY(SELECT a.invoice_id FROM allocations a WHERE a.payment_id = h.payment_id))
        FROM held h
        WHERE h.is_to_be_cancelled
    ))
    ORDER BY i.id
    FOR NO KEY UPDATE OF i
)
SELECT *, EXISTS (
    SELECT
    FROM unnest((SELECT $7::text[]), (SELECT $8::xid[])) AS w (company, row_version)
    WHERE (SELECT c.xmin FROM companies c WHERE c.company = w.company) IS DISTINCT FROM w.row_version
) AS is_stale
FROM held h
FULL JOIN (SELECT row_number() OVER () AS ord, l.* FROM locked l) l USING (ord)
ORDER BY ord
