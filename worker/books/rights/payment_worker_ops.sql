-- Ops: companies and their policies, dead letters, and reading. No money: neither what is owed nor what was booked or told.
GRANT SELECT ON companies, invoices, wallets, payments, allocations, outcomes, outbox, pending, dead_letters, dead_letter_actions,
    schema_migrations TO payment_worker_ops;

GRANT INSERT (company, currency, allocation, allocation_for, overpayment, treat, books_closed_until, duplicates, await_invoice_s,
    hide_foreign, identifiers, distribution, tolerance_amount, tolerance_percent, gateways),
    UPDATE (currency, allocation, allocation_for, overpayment, treat, books_closed_until, duplicates, await_invoice_s,
    hide_foreign, identifiers, distribution, tolerance_amount, tolerance_percent, gateways, updated_at) ON companies TO payment_worker_ops;

-- When an action happened is the database's to say.
GRANT UPDATE (state, body, properties, type, idempotency_key, identity) ON dead_letters TO payment_worker_ops;
GRANT INSERT (dead_letter_id, action, actor, why, body_before, properties_before) ON dead_letter_actions TO payment_worker_ops;
