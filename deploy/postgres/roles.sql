-- The roles of payment-worker, made once by the database's administrator, in the worker's own database, which its owner owns:
--
--     psql --set ON_ERROR_STOP=1 --dbname payments --file deploy/postgres/roles.sql
--
-- Safe to repeat. The roles cannot log in; people and processes get a login that is a member of one:
--
--     CREATE ROLE worker_1 LOGIN IN ROLE payment_worker_run;    then, in psql, which keeps it out of all logs:  \password worker_1
--
-- Roles belong to the whole server, so of two installations on one server the logins of the one could get into the other: give
-- each a server of its own, or keep them apart in pg_hba.conf.
--
-- What each role may do with the tables is granted by `payment-worker setup`, which the owner runs, at every upgrade anew.

DO $$
DECLARE
    role text;
BEGIN
    IF EXISTS (
        SELECT FROM pg_class, pg_database
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND datname = current_database() AND relowner <> datdba
    ) THEN
        RAISE EXCEPTION 'tables in public belong to another login than the database: ALTER DATABASE % OWNER TO it first',
            current_database();
    END IF;
    FOREACH role IN ARRAY ARRAY['payment_worker_run', 'payment_worker_import', 'payment_worker_ops', 'payment_worker_read']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    END LOOP;
    -- Nobody else gets in, and tables are made by the owner alone; an import needs some that are gone when it ends.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO payment_worker_import', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    EXECUTE (
        SELECT format('GRANT USAGE, CREATE ON SCHEMA public TO %s', datdba::regrole) FROM pg_database WHERE datname = current_database()
    );
END $$;
