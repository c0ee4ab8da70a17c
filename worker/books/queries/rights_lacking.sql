-- What a worker needs and this login may not do: a right to the table, or to columns of it.
SELECT n.privilege || ' on ' || n.name AS lacks
FROM (
    SELECT t.name, p.privilege
    FROM (VALUES
        ('companies', 'SELECT, UPDATE'),
        ('invoices', 'SELECT, INSERT, UPDATE'),
        ('wallets', 'SELECT, INSERT, UPDATE'),
        ('payments', 'SELECT, INSERT, UPDATE'),
        ('allocations', 'SELECT, INSERT'),
        ('outcomes', 'SELECT, INSERT'),
        ('outbox', 'SELECT, INSERT, UPDATE'),
        ('pending', 'SELECT, INSERT, UPDATE'),
        ('dead_letters', 'SELECT, INSERT, UPDATE'),
        ('dead_letter_actions', 'INSERT')
    ) AS t (name, privileges)
    CROSS JOIN string_to_table(t.privileges, ', ') AS p (privilege)
    WHERE NOT has_any_column_privilege(t.name, p.privilege)
    UNION ALL
    SELECT t.name, 'DELETE' FROM (VALUES ('outbox'), ('pending')) AS t (name) WHERE NOT has_table_privilege(t.name, 'DELETE')
    UNION ALL
    SELECT s.name, 'USAGE' FROM (VALUES ('payments_id_seq'), ('outbox_relays')) AS s (name) WHERE NOT has_sequence_privilege(s.name, 'USAGE')
) AS n
ORDER BY n.name, n.privilege
