INSERT INTO companies (company, currency, allocation, allocation_for, overpayment, treat, books_closed_until, duplicates, await_invoice_s,
    hide_foreign, identifiers, distribution, tolerance_amount, tolerance_percent, gateways)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (company) DO UPDATE
SET currency = excluded.currency, allocation = excluded.allocation, allocation_for = excluded.allocation_for, overpayment = excluded.overpayment,
    treat = excluded.treat, books_closed_until = excluded.books_closed_until, duplicates = excluded.duplicates,
    await_invoice_s = excluded.await_invoice_s, hide_foreign = excluded.hide_foreign, identifiers = excluded.identifiers,
    distribution = excluded.distribution, tolerance_amount = excluded.tolerance_amount, tolerance_percent = excluded.tolerance_percent,
    gateways = excluded.gateways, updated_at = now()
