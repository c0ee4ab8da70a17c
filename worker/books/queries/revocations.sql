-- The statements that take from the roles $1 and from PUBLIC what they may do with this login's own tables, sequences and
-- functions; those of others, and of extensions, are left alone.
SELECT format('REVOKE ALL ON %s %s FROM PUBLIC, %s', o.kind, o.name, g.grantees) AS statement
FROM (
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, oid::regclass::text AS name
    FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S') AND relowner = current_user::regrole
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
    UNION ALL
    SELECT 'FUNCTION', oid::regprocedure::text
    FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND proowner = current_user::regrole
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
) AS o
CROSS JOIN (SELECT string_agg(quote_ident(role), ', ') AS grantees FROM unnest($1::text[]) AS r (role)) AS g
