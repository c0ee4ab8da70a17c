-- What is held under each key; a key that is new gets its payment id here.
SELECT w.ord, coalesce(p.id, nextval('payments_id_seq')) AS payment_id, p.fingerprint, p.statusid, p.event_id, d.awaited_since,
       coalesce(p.is_cancelled, false) AS is_cancelled, p.cancels IS NOT NULL AS is_cancellation
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (company, idempotency_key, ord)
LEFT JOIN payments p USING (company, idempotency_key)
LEFT JOIN pending d ON d.payment_id = p.id
