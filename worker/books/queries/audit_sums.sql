-- For each currency what was stated, what was booked on it, net of what was cancelled, and what is open. Minor units.
WITH booked AS (
    SELECT currency, sum(amount) AS booked, sum(unfocused) AS unfocused,
           sum(amount) FILTER (WHERE settled_by = 'money') AS received,
           sum(amount) FILTER (WHERE settled_by = 'wallet') AS from_wallets,
           sum(amount) FILTER (WHERE settled_by = 'write_off') AS written_off
    FROM payments
    WHERE statusid = 6 OR cancels IS NOT NULL
    GROUP BY currency
), tolerated AS (
    SELECT i.currency, sum(a.capital::numeric + a.interest + a.noticefee) AS tolerated
    FROM allocations a
    JOIN invoices i ON i.id = a.invoice_id
    WHERE a.entry = 'tolerance'
    GROUP BY i.currency
), owed AS (
    SELECT currency, sum(capital::numeric + interest + noticefee) AS stated,
           sum(capital_allocated::numeric + interest_allocated + noticefee_allocated) AS allocated
    FROM invoices
    GROUP BY currency
)
SELECT currency, coalesce(o.stated, 0) AS stated, coalesce(o.allocated, 0) AS allocated, coalesce(o.stated - o.allocated, 0) AS open,
       coalesce(t.tolerated, 0) AS tolerated,
       coalesce(b.booked, 0) AS booked, coalesce(b.booked - b.unfocused, 0) AS focused, coalesce(b.unfocused, 0) AS unfocused,
       coalesce(b.received, 0) AS received, coalesce(b.from_wallets, 0) AS from_wallets, coalesce(b.written_off, 0) AS written_off
FROM owed o
FULL JOIN booked b USING (currency)
LEFT JOIN tolerated t USING (currency)
ORDER BY currency
