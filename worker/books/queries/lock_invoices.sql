-- The invoices that go by any of the names or ids, locked in one order for all workers so that no two wait for each other.
-- The ids are an array: a row that had to be waited for is judged anew, and against a join or IN it can then be missed.
SELECT i.*
FROM invoices i
WHERE i.id = ANY (ARRAY(
    SELECT n.id FROM unnest($1::text[], $2::text[]) AS w (company, value) JOIN invoices n ON n.billcode = w.value AND n.company = w.company
    UNION ALL
    SELECT n.id FROM unnest($3::text[], $4::bigint[]) AS w (company, value) JOIN invoices n ON n.jobid = w.value AND n.company = w.company
    UNION ALL
    SELECT n.id FROM unnest($5::text[], $6::text[]) AS w (company, value) JOIN invoices n ON n.billnum = w.value AND n.company = w.company
    UNION ALL
    SELECT n.id FROM unnest($7::text[], $8::text[]) AS w (company, value) JOIN invoices n ON n.reference_number = w.value AND n.company = w.company
    UNION ALL
    SELECT n.id FROM unnest($9::text[], $10::text[]) AS w (company, value) JOIN invoices n ON n.back_office_code = w.value AND n.company = w.company
    UNION ALL
    SELECT n.id FROM unnest($11::text[], $12::text[]) AS w (company, value) JOIN invoices n ON n.external_id = w.value AND n.company = w.company
    UNION ALL
    SELECT unnest($13::bigint[])
))
ORDER BY i.id
FOR NO KEY UPDATE OF i
