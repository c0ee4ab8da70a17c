-- The worker: `payment-worker run`. It books. What it has booked, told or written down it can neither change nor delete, and the
-- key of a payment stays. A row can be locked only by who may update some column of it: hence updated_at.
GRANT SELECT ON schema_migrations TO payment_worker_run;

GRANT SELECT, UPDATE (updated_at) ON companies TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number,
    account_name, currency, stated_state, due_date, version, capital, interest, noticefee, capital_allocated, interest_allocated,
    noticefee_allocated) ON invoices TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (wallet_id, number, currency, version, unconditional, conditional, drawn) ON wallets TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (source, statusid, reason, currency, fingerprint, amount, unfocused, surcharge, paydate, payment_type,
    settled_by, wallet, event_id, is_cancelled, cancels, details, updated_at) ON payments TO payment_worker_run;
GRANT USAGE ON SEQUENCE payments_id_seq TO payment_worker_run;

GRANT SELECT, INSERT ON allocations, outcomes TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (relay), DELETE ON outbox TO payment_worker_run;
GRANT USAGE ON SEQUENCE outbox_relays TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (awaited_since, wake_at, awaits, body, correlation_id, reply_to, traceparent, tracestate), DELETE
    ON pending TO payment_worker_run;

GRANT SELECT, INSERT, UPDATE (reason, error, errors, properties, last_seen, last_message, count, state)
    ON dead_letters TO payment_worker_run;
GRANT INSERT (dead_letter_id, action, actor, why) ON dead_letter_actions TO payment_worker_run;
