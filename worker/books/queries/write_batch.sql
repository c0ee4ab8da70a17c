-- All that a batch writes for the first time, in one statement: each of several would cost a round trip.
-- $1 the time, $2 payments, in the order of their keys, $3 allocations, $4 outcomes, $5 what is to be published, $6 by which relay.
-- Returns the ids of the rows of the outbox, and with each how many payments were new: a key that another worker has taken in the
-- meantime inserts nothing, and the caller undoes the batch.
--
-- An array comes as the result of a query, so that the statement is planned once for a session: see look_up.sql.
WITH paid AS (
    INSERT INTO payments (id, company, idempotency_key, source, statusid, reason, currency, fingerprint, amount, unfocused,
        surcharge, paydate, payment_type, settled_by, wallet, event_id, is_cancelled, cancels, details, created_at, updated_at)
    SELECT w.*, $1, $1
    FROM unnest((SELECT $2::payment_row[])) AS w
    ON CONFLICT DO NOTHING
    RETURNING 1
), booked AS (
    INSERT INTO allocations (payment_id, line, entry, invoice_id, amount, capital, interest, noticefee, line_references, created_at)
    SELECT w.*, $1
    FROM unnest((SELECT $3::allocation_row[])) AS w
    -- Of a batch that is to be undone nothing is booked: it was judged by what is no longer so.
    WHERE (SELECT count(*) FROM paid) = cardinality($2)
    RETURNING invoice_id, capital, interest, noticefee
), per_invoice AS (
    SELECT invoice_id, sum(capital)::bigint AS capital, sum(interest)::bigint AS interest, sum(noticefee)::bigint AS noticefee,
           bool_or(capital + interest + noticefee < 0) AS reopens
    FROM booked
    GROUP BY invoice_id
), paid_off AS (
    -- From the same rows what the invoices have been allocated. A counter-entry opens an invoice that was closed.
    UPDATE invoices i
    SET capital_allocated = i.capital_allocated + s.capital,
        interest_allocated = i.interest_allocated + s.interest,
        noticefee_allocated = i.noticefee_allocated + s.noticefee,
        stated_state = CASE WHEN s.reopens AND i.stated_state = 'CLOSED' THEN 'OPEN' ELSE i.stated_state END
    FROM per_invoice s
    WHERE i.id = ANY (ARRAY[s.invoice_id])
), told AS (
    INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, body, correlation_id, occurred_at)
    SELECT w.*, $1
    FROM unnest((SELECT $4::event_row[])) AS w
), to_publish AS (
    INSERT INTO outbox (relay, event_id, replayed, correlation_id, reply_to, traceparent, tracestate)
    SELECT $6::integer, w.event_id, w.replayed, w.correlation_id, w.reply_to, w.traceparent, w.tracestate
    FROM unnest((SELECT $5::outbox_row[])) WITH ORDINALITY AS w
    ORDER BY w.ordinality
    RETURNING id
)
SELECT id, (SELECT count(*) FROM paid) AS payments
FROM to_publish
ORDER BY id
