INSERT INTO invoices (company, jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number, account_name,
    currency, stated_state, due_date, version, capital, interest, noticefee)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::text[], $13::date[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
