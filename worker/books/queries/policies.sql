SELECT company, currency, allocation, allocation_for, overpayment, treat, books_closed_until, duplicates, await_invoice_s, hide_foreign, identifiers,
    distribution, tolerance_amount, tolerance_percent, gateways, xmin AS row_version
FROM companies
WHERE $1::text[] IS NULL OR company = ANY ($1::text[])
ORDER BY company
