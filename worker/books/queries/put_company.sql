INSERT INTO companies (company, currency, allocation, allocation_for, overpayment, treat, books_closed_until, duplicates, await_invoice_s, hide_foreign, identifiers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (company) DO UPDATE
SET currency = excluded.currency, allocation = excluded.allocation, allocation_for = excluded.allocation_for, overpayment = excluded.overpayment,
    treat = excluded.treat, books_closed_until = excluded.books_closed_until, duplicates = excluded.duplicates,
    await_invoice_s = excluded.await_invoice_s, hide_foreign = excluded.hide_foreign, identifiers = excluded.identifiers, updated_at = now()
