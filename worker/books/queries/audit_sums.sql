-- For each currency what was stated, what was booked on it and what is open. Minor units.
WITH booked AS (
    SELECT currency, sum(amount) AS booked, sum(unfocused) AS unfocused FROM payments WHERE statusid = 6 GROUP BY currency
), owed AS (
    SELECT currency, sum(capital + interest + noticefee) AS stated,
           sum(capital_allocated + interest_allocated + noticefee_allocated) AS allocated
    FROM invoices
    GROUP BY currency
)
SELECT currency, coalesce(o.stated, 0) AS stated, coalesce(o.allocated, 0) AS allocated, coalesce(o.stated - o.allocated, 0) AS open,
       coalesce(b.booked, 0) AS booked, coalesce(b.booked - b.unfocused, 0) AS focused, coalesce(b.unfocused, 0) AS unfocused
FROM owed o
FULL JOIN booked b USING (currency)
ORDER BY currency
