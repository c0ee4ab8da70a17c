SELECT (SELECT count(*) FROM invoices) AS invoices,
       (SELECT count(*) FROM payments) AS payments,
       (SELECT count(*) FROM payments WHERE statusid = 6) AS booked,
       (SELECT count(*) FROM allocations) AS allocations,
       (SELECT count(*) FROM outcomes) AS outcomes,
       (SELECT count(*) FROM outbox) AS outbox
