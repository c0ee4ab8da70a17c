INSERT INTO invoices (company, jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number, account_name,
    currency, stated_state, due_date, version, capital, interest, noticefee)
SELECT $1, r.jobid, r.billcode, r.billnum, r.reference_number, r.back_office_code, r.external_id, r.account_id, r.account_number, r.account_name,
    s.currency, r.stated_state, r.due_date, s.version, s.capital, s.interest, s.noticefee
FROM import_statements s
JOIN import_rows r USING (line)
WHERE s.invoice_id IS NULL
ORDER BY s.line
