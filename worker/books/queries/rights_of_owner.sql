-- Whether this login could change or delete what is booked, and not only add to it.
SELECT has_table_privilege('payments', 'DELETE') OR has_column_privilege('payments', 'idempotency_key', 'UPDATE')
    OR bool_or(has_any_column_privilege(name, 'UPDATE') OR has_table_privilege(name, 'DELETE'))
FROM (VALUES ('allocations'), ('outcomes'), ('dead_letter_actions')) AS t (name)
