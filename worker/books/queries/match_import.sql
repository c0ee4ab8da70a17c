-- Asked anew of what is locked now: a name may have moved while the lock was waited for.
ANALYZE import_known;
INSERT INTO import_matches
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.billcode = r.billcode
UNION
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.jobid = r.jobid
UNION
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.billnum = r.billnum
UNION
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.reference_number = r.reference_number
UNION
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.back_office_code = r.back_office_code
UNION
SELECT r.line, k.id FROM import_rows r JOIN import_known k ON k.external_id = r.external_id;
ANALYZE import_matches
