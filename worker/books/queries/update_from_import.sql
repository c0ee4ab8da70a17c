-- As update_invoices.sql has it: names and account are kept where the row leaves them out, all else is said anew.
UPDATE invoices i
SET jobid = coalesce(r.jobid, i.jobid), billcode = coalesce(r.billcode, i.billcode), billnum = coalesce(r.billnum, i.billnum),
    reference_number = coalesce(r.reference_number, i.reference_number), back_office_code = coalesce(r.back_office_code, i.back_office_code),
    external_id = coalesce(r.external_id, i.external_id), account_id = coalesce(r.account_id, i.account_id),
    account_number = coalesce(r.account_number, i.account_number), account_name = coalesce(r.account_name, i.account_name),
    currency = s.currency, stated_state = r.stated_state, due_date = r.due_date, version = s.version,
    capital = s.capital, interest = s.interest, noticefee = s.noticefee
FROM import_statements s
JOIN import_rows r USING (line)
WHERE i.id = s.invoice_id AND NOT s.is_late
