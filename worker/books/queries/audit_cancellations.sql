-- Cancellations that are not what they cancel with the signs turned, entry by entry, and payments whose mark says otherwise.
-- $1 findings of a kind at most; $2 to $3 the payments' ids; $4, $5 currencies and the worth of their minor unit.
WITH cancellations AS MATERIALIZED (
    SELECT c.id, c.company, c.idempotency_key, c.cancels, m.unit, p.company AS paid_company, p.idempotency_key AS paid_key,
           p.statusid AS paid_statusid, p.is_cancelled AS is_marked, p.statusid = 6 AND p.company = c.company AS is_comparable,
           ARRAY['11', 'cancelled', p.currency, p.payment_type, p.settled_by, p.wallet::text,
               (-p.amount * m.unit)::text, (-p.unfocused * m.unit)::text, (-p.surcharge * m.unit)::text] AS expected,
           ARRAY[c.statusid::text, c.reason, c.currency, c.payment_type, c.settled_by, c.wallet::text,
               (c.amount * m.unit)::text, (c.unfocused * m.unit)::text, (c.surcharge * m.unit)::text] AS found
    FROM payments c
    LEFT JOIN payments p ON p.id = c.cancels
    LEFT JOIN unnest($4::text[], $5::numeric[]) AS u (currency, unit) ON u.currency = c.currency
    CROSS JOIN LATERAL (SELECT coalesce(u.unit, 1) AS unit) AS m
    WHERE c.cancels IS NOT NULL AND c.id BETWEEN $2 AND $3
), owed AS (
    SELECT c.id, a.line, a.entry, a.invoice_id, -a.amount AS amount, -a.capital AS capital, -a.interest AS interest, -a.noticefee AS noticefee,
           a.line_references
    FROM cancellations c
    JOIN allocations a ON a.payment_id = c.cancels
), given AS (
    SELECT c.id, a.line, a.entry, a.invoice_id, a.amount, a.capital, a.interest, a.noticefee, a.line_references
    FROM cancellations c
    JOIN allocations a ON a.payment_id = c.id
), unmirrored AS (
    SELECT id, line, entry, invoice_id, o.amount AS owed_amount, o.capital AS owed_capital, o.interest AS owed_interest,
           o.noticefee AS owed_noticefee, o.line_references AS owed_references, g.amount, g.capital, g.interest, g.noticefee, g.line_references
    FROM owed o
    FULL JOIN given g USING (id, line, entry, invoice_id)
    WHERE (o.amount, o.capital, o.interest, o.noticefee, o.line_references)
        IS DISTINCT FROM (g.amount, g.capital, g.interest, g.noticefee, g.line_references)
), findings AS (
    SELECT 'cancellation_of_unbooked' AS kind, c.id, NULL::bigint AS invoice_id, NULL::smallint AS line, NULL AS entry, company, idempotency_key,
           'statusid 6' AS expected, coalesce('statusid ' || paid_statusid, 'no payment ' || cancels) AS found
    FROM cancellations c
    WHERE paid_statusid IS DISTINCT FROM 6
    UNION ALL
    SELECT 'cancellation_of_stranger', id, NULL, NULL, NULL, company, idempotency_key, 'a payment of ' || company, 'one of ' || paid_company
    FROM cancellations
    WHERE paid_company <> company
    UNION ALL
    SELECT 'cancellation_disagrees', c.id, NULL, NULL, NULL, c.company, c.idempotency_key, said.expected, said.found
    FROM cancellations c
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%s %s', s.name, coalesce(s.expected, 'none')), ', ') AS expected,
               string_agg(format('%s %s', s.name, coalesce(s.found, 'none')), ', ') AS found
        FROM unnest(
            ARRAY['statusid', 'reason', 'currency', 'payment_type', 'settled_by', 'wallet', 'amount', 'unfocused', 'surcharge'],
            c.expected, c.found) AS s (name, expected, found)
        WHERE s.expected IS DISTINCT FROM s.found
    ) said
    WHERE c.is_comparable AND c.expected IS DISTINCT FROM c.found
    UNION ALL
    SELECT 'counter_entry_disagrees', c.id, n.invoice_id, n.line, n.entry, c.company, c.idempotency_key,
           format('line %s, %s: ', n.line, n.entry) || coalesce('amount ' || n.owed_amount * c.unit || ', capital ' || n.owed_capital * c.unit
               || ', interest ' || n.owed_interest * c.unit || ', noticefee ' || n.owed_noticefee * c.unit
               || CASE WHEN n.owed_references IS DISTINCT FROM n.line_references THEN ', its references' ELSE '' END, 'none'),
           format('line %s, %s: ', n.line, n.entry) || coalesce('amount ' || n.amount * c.unit || ', capital ' || n.capital * c.unit
               || ', interest ' || n.interest * c.unit || ', noticefee ' || n.noticefee * c.unit
               || CASE WHEN n.owed_references IS DISTINCT FROM n.line_references THEN ', other references' ELSE '' END, 'none')
    FROM unmirrored n
    JOIN cancellations c USING (id)
    WHERE c.is_comparable
    UNION ALL
    SELECT 'cancellation_missing', p.id, NULL, NULL, NULL, p.company, p.idempotency_key, 'a cancellation, as it is marked', 'none'
    FROM payments p
    WHERE p.id BETWEEN $2 AND $3 AND p.statusid = 6 AND p.is_cancelled AND NOT EXISTS (SELECT FROM payments c WHERE c.cancels = p.id)
    UNION ALL
    SELECT 'cancellation_unmarked', cancels, NULL, NULL, NULL, paid_company, paid_key, 'marked as cancelled', 'cancelled by ' || idempotency_key
    FROM cancellations
    WHERE NOT is_marked
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id, line, entry, invoice_id) AS number,
           count(*) OVER (PARTITION BY kind) AS of_kind
    FROM findings
)
SELECT n.kind, n.company, n.idempotency_key,
       coalesce('billcode ' || i.billcode, 'jobid ' || i.jobid, 'billnum ' || i.billnum, 'reference_number ' || i.reference_number,
           'back_office_code ' || i.back_office_code, 'external_id ' || i.external_id) AS invoice,
       NULL AS wallet, n.expected, n.found,
       concat_ws(', ', 'payment ' || n.id, 'line ' || n.line, n.entry) AS subject, n.of_kind
FROM numbered n
LEFT JOIN invoices i ON i.id = n.invoice_id
WHERE n.number <= $1
ORDER BY n.kind, n.number
