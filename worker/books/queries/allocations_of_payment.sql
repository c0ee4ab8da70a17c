SELECT a.line, a.entry, a.amount, a.capital AS to_capital, a.interest AS to_interest, a.noticefee AS to_noticefee, a.line_references, i.*
FROM allocations a
JOIN invoices i ON i.id = a.invoice_id
WHERE a.payment_id = $1
ORDER BY a.line, a.entry
