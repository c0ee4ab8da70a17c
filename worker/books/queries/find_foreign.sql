-- Which of the names belong to an invoice of another company. Says no more than that.
SELECT w.ord
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w (company, kind, value, ord)
WHERE CASE w.kind
    WHEN 'billcode' THEN EXISTS (SELECT FROM invoices n WHERE n.billcode = w.value AND n.company <> w.company)
    WHEN 'jobid' THEN EXISTS (SELECT FROM invoices n WHERE n.jobid = w.value::bigint AND n.company <> w.company)
    WHEN 'billnum' THEN EXISTS (SELECT FROM invoices n WHERE n.billnum = w.value AND n.company <> w.company)
    WHEN 'reference_number' THEN EXISTS (SELECT FROM invoices n WHERE n.reference_number = w.value AND n.company <> w.company)
    WHEN 'back_office_code' THEN EXISTS (SELECT FROM invoices n WHERE n.back_office_code = w.value AND n.company <> w.company)
    WHEN 'external_id' THEN EXISTS (SELECT FROM invoices n WHERE n.external_id = w.value AND n.company <> w.company)
END
