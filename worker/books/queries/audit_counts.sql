SELECT i.invoices, p.payments, p.booked, p.cancellations, a.allocations, w.wallets, o.outcomes, b.outbox
FROM (SELECT count(*) AS invoices FROM invoices) AS i,
     (SELECT count(*) AS payments, count(*) FILTER (WHERE statusid = 6) AS booked, count(cancels) AS cancellations FROM payments) AS p,
     (SELECT count(*) AS allocations FROM allocations) AS a,
     (SELECT count(*) AS wallets FROM wallets) AS w,
     (SELECT count(*) AS outcomes FROM outcomes) AS o,
     (SELECT count(*) AS outbox FROM outbox) AS b
