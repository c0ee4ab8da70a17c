-- The invoice of a company by one of its names; $4 is the jobid as a number.
SELECT *
FROM invoices
WHERE company = $1
    AND (($2::text = 'billcode' AND billcode = $3::text)
        OR ($2::text = 'jobid' AND jobid = $4::bigint)
        OR ($2::text = 'billnum' AND billnum = $3::text)
        OR ($2::text = 'reference_number' AND reference_number = $3::text)
        OR ($2::text = 'back_office_code' AND back_office_code = $3::text)
        OR ($2::text = 'external_id' AND external_id = $3::text))
