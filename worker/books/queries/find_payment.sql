-- A payment with its last event, what it cancels or is cancelled by, and when it is looked at again.
SELECT p.id, p.company, p.idempotency_key, p.source, p.statusid, p.reason, p.amount, p.unfocused, p.currency, p.paydate, p.payment_type,
    p.event_id, p.created_at, p.updated_at, p.is_cancelled, p.settled_by, p.surcharge, p.details, d.wake_at, o.body AS outcome,
    coalesce(w.number, w.wallet_id) AS wallet, cancelled.idempotency_key AS cancels, cancellation.idempotency_key AS cancelled_by
FROM payments p
LEFT JOIN outcomes o USING (event_id)
LEFT JOIN pending d ON d.payment_id = p.id
LEFT JOIN wallets w ON w.id = p.wallet
LEFT JOIN payments cancelled ON cancelled.id = p.cancels
LEFT JOIN payments cancellation ON cancellation.cancels = p.id
WHERE p.company = $1 AND p.idempotency_key = $2
