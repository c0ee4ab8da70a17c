-- One payment in one transaction: the peers' statements, by pgbench. Variables: invoices, the counter n from 0, client_id.
\set n :n + 1
\set invoice random(1, :invoices)
BEGIN;
INSERT INTO payments (company, idempotency_key, amount) VALUES ('bench', 'k' || :client_id || '-' || :n, 100) ON CONFLICT DO NOTHING RETURNING id AS payment_id \gset
SELECT id AS invoice_id, capital - capital_allocated AS capital, interest - interest_allocated AS interest, noticefee - noticefee_allocated AS noticefee FROM invoices WHERE company = 'bench' AND billcode = 'b' || :invoice FOR UPDATE \gset
\set to_noticefee least(100, :noticefee)
\set to_interest least(100 - :to_noticefee, :interest)
\set to_capital least(100 - :to_noticefee - :to_interest, :capital)
INSERT INTO allocations (payment_id, invoice_id, capital, interest, noticefee) VALUES (:payment_id, :invoice_id, :to_capital, :to_interest, :to_noticefee);
UPDATE invoices SET capital_allocated = capital_allocated + :to_capital, interest_allocated = interest_allocated + :to_interest, noticefee_allocated = noticefee_allocated + :to_noticefee WHERE id = :invoice_id;
UPDATE payments SET outcome = '{"company": "bench", "idempotency_key": "k12345", "statusid": 6, "status": "OHISPAY", "amount": "1.00", "billcode": "b1234", "paydate": "2017-10-10", "focusedtocapital": "0.00", "focusedtointerest": "0.00", "focusedtonoticefee": "1.00"}' WHERE id = :payment_id;
END;
