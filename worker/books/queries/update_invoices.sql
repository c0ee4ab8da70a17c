-- What a statement leaves out, of its names and its account, stays as it was; its amounts, state and date are all said anew.
UPDATE invoices i
SET jobid = coalesce(w.jobid, i.jobid), billcode = coalesce(w.billcode, i.billcode), billnum = coalesce(w.billnum, i.billnum),
    reference_number = coalesce(w.reference_number, i.reference_number), back_office_code = coalesce(w.back_office_code, i.back_office_code),
    external_id = coalesce(w.external_id, i.external_id), account_id = coalesce(w.account_id, i.account_id),
    account_number = coalesce(w.account_number, i.account_number), account_name = coalesce(w.account_name, i.account_name),
    currency = w.currency, stated_state = w.stated_state, due_date = w.due_date, version = w.version,
    capital = w.capital, interest = w.interest, noticefee = w.noticefee
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::text[], $13::date[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
    AS w (id, jobid, billcode, billnum, reference_number, back_office_code, external_id, account_id, account_number, account_name,
    currency, stated_state, due_date, version, capital, interest, noticefee)
WHERE i.id = ANY (ARRAY[w.id])
