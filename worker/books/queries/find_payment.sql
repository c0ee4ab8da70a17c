SELECT p.id, p.company, p.idempotency_key, p.source, p.statusid, p.reason, p.amount, p.unfocused, p.currency, p.paydate, p.payment_type,
    p.event_id, p.created_at, p.updated_at, d.wake_at, o.body AS outcome
FROM payments p
JOIN outcomes o USING (event_id)
LEFT JOIN pending d ON d.payment_id = p.id
WHERE p.company = $1 AND p.idempotency_key = $2
