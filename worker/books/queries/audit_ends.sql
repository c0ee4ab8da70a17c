-- The last of what a round visits, so that what is added meanwhile is left to the next round. Nothing where there is nothing.
SELECT greatest((SELECT max(id) FROM payments), (SELECT max(payment_id) FROM allocations), (SELECT max(payment_id) FROM pending)) AS payments,
       (SELECT max(id) FROM invoices) AS invoices,
       (SELECT max(id) FROM wallets) AS wallets,
       (SELECT event_id FROM outcomes ORDER BY event_id DESC LIMIT 1) AS outcomes,
       (SELECT max(id) FROM outbox) AS outbox
