-- The invoices that the file's names belong to, locked in the order that all workers lock in.
INSERT INTO import_known
SELECT i.*
FROM invoices i
WHERE i.id = ANY (ARRAY(
    SELECT n.id FROM import_rows r JOIN invoices n ON n.billcode = r.billcode AND n.company = $1
    UNION ALL
    SELECT n.id FROM import_rows r JOIN invoices n ON n.jobid = r.jobid AND n.company = $1
    UNION ALL
    SELECT n.id FROM import_rows r JOIN invoices n ON n.billnum = r.billnum AND n.company = $1
    UNION ALL
    SELECT n.id FROM import_rows r JOIN invoices n ON n.reference_number = r.reference_number AND n.company = $1
    UNION ALL
    SELECT n.id FROM import_rows r JOIN invoices n ON n.back_office_code = r.back_office_code AND n.company = $1
    UNION ALL
    SELECT n.id FROM import_rows r JOIN invoices n ON n.external_id = r.external_id AND n.company = $1
))
ORDER BY i.id
FOR NO KEY UPDATE OF i
