-- The rows are locked first: a replay that has been published but not yet been written down holds them, and only after it can
-- be seen that they are replayed. The company is asked too: the id comes from a header, which any upstream can set.
WITH locked AS (
    SELECT d.id, d.state
    FROM dead_letters d
    JOIN unnest($1::bigint[], $2::text[]) AS w (id, company) ON d.id = ANY (ARRAY[w.id]) AND (d.company = w.company) IS TRUE
    ORDER BY w.id -- as in hold_payments.sql
    FOR UPDATE OF d
), resolved AS (
    UPDATE dead_letters d SET state = 'resolved' FROM locked WHERE d.id = ANY (ARRAY[locked.id]) AND locked.state = 'replayed' RETURNING d.id
)
INSERT INTO dead_letter_actions (dead_letter_id, action, actor, why)
SELECT id, 'resolved', 'payment-worker', 'the replayed message was processed' FROM resolved
