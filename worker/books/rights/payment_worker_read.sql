-- Reports and audits: reads everything, writes nothing.
GRANT SELECT ON companies, invoices, wallets, payments, allocations, outcomes, outbox, pending, dead_letters, dead_letter_actions,
    schema_migrations TO payment_worker_read;
