-- Books as the worker would have filled them: the five payments of invoice 1, which it has booked itself, copied for the
-- invoices {first} to {last}. Ids, keys, names and the events' bytes are each copy's own, so the audit finds nothing amiss.
SET LOCAL session_replication_role = replica;  -- no look at foreign keys, one by one
SET LOCAL synchronous_commit = off;

INSERT INTO invoices (id, company, billcode, currency, stated_state, version, capital, interest, noticefee, capital_allocated, interest_allocated, noticefee_allocated)
OVERRIDING SYSTEM VALUE
SELECT n, company, 'b' || n, currency, stated_state, version, capital, interest, noticefee, capital_allocated, interest_allocated, noticefee_allocated
FROM invoices, generate_series({first}, {last}) AS n
WHERE id = 1;

CREATE TEMPORARY TABLE copies ON COMMIT DROP AS
SELECT n AS invoice_id, s.id AS sample_id, c.id, lpad((c.id * 611953 % 1000000000)::text, 9, '0') || 'f' AS idempotency_key,
       ('0190' || lpad(to_hex(c.id), 8, '0') || '70008' || '000000000000000')::uuid AS event_id
FROM generate_series({first}, {last}) AS n, payments s, LATERAL (SELECT (n::bigint - 1) * 5 + s.id AS id) AS c
WHERE s.id <= 5;
ANALYZE copies;

INSERT INTO payments (id, company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency, paydate, payment_type, event_id,
    created_at, updated_at, settled_by, surcharge, details)
SELECT c.id, company, c.idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency, paydate, payment_type, c.event_id,
    created_at, updated_at, settled_by, surcharge, details
FROM copies c JOIN payments s ON s.id = c.sample_id
WHERE s.id <= 5;

INSERT INTO allocations (payment_id, line, entry, invoice_id, amount, capital, interest, noticefee, line_references, created_at)
SELECT c.id, line, entry, c.invoice_id, amount, capital, interest, noticefee, line_references, created_at
FROM copies c JOIN allocations s ON s.payment_id = c.sample_id
WHERE s.payment_id <= 5;

WITH samples AS MATERIALIZED (
    SELECT o.*, replace(replace(replace(replace(replace(convert_from(body, 'UTF8'), '%', '%%'), o.event_id::text, '%1$s'),
        format('"idempotency_key":"%s"', idempotency_key), '"idempotency_key":"%2$s"'),
        format('"payment_id":%s,', payment_id), '"payment_id":%3$s,'),
        '"billcode":"b1"', '"billcode":"b%4$s"') AS pattern
    FROM outcomes o WHERE event_id IN (SELECT event_id FROM payments WHERE id <= 5)
)
INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, occurred_at, body)
SELECT c.event_id, company, c.id, c.idempotency_key, source, statusid, occurred_at,
    convert_to(format(pattern, c.event_id, c.idempotency_key, c.id, c.invoice_id), 'UTF8')
FROM copies c JOIN samples s ON s.payment_id = c.sample_id;
