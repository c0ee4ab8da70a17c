-- What the file says (import_rows), which of its names are taken (import_known, locked; import_matches), and what to do (import_statements).
CREATE TEMPORARY TABLE import_rows (
    line integer NOT NULL,
    jobid bigint, billcode text, billnum text, reference_number text, back_office_code text, external_id text,
    account_id text, account_number text, account_name text,
    currency text, stated_state text NOT NULL, due_date date, version bigint,
    capital numeric NOT NULL, interest numeric NOT NULL, noticefee numeric NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE import_known (LIKE invoices) ON COMMIT DROP;
CREATE TEMPORARY TABLE import_matches (line integer NOT NULL, invoice_id bigint NOT NULL) ON COMMIT DROP;
CREATE TEMPORARY TABLE import_statements (
    line integer NOT NULL, invoice_id bigint, is_late boolean NOT NULL, wrong text,
    currency text NOT NULL, version bigint NOT NULL, capital numeric NOT NULL, interest numeric NOT NULL, noticefee numeric NOT NULL
) ON COMMIT DROP;
-- A large file takes longer than any statement of a worker may.
SET LOCAL statement_timeout = 0;
SET LOCAL work_mem = '64MB'
