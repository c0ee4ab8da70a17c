-- Who states what is owed: `payment-worker invoices import`, `wallets put`. What has been allocated and drawn is out of its reach.
GRANT SELECT ON schema_migrations TO payment_worker_import;

GRANT SELECT, UPDATE (updated_at) ON companies TO payment_worker_import;

GRANT SELECT, INSERT (company, jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number,
    account_name, currency, stated_state, due_date, version, capital, interest, noticefee),
    UPDATE (jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number, account_name,
    currency, stated_state, due_date, version, capital, interest, noticefee) ON invoices TO payment_worker_import;

GRANT SELECT, INSERT (company, wallet_id, number, currency, version, unconditional, conditional),
    UPDATE (wallet_id, number, currency, version, unconditional, conditional) ON wallets TO payment_worker_import;

GRANT SELECT (payment_id, awaits, awaited_since, wake_at), UPDATE (wake_at) ON pending TO payment_worker_import;
