-- Payments whose amount is not what was allocated of it and what was not, and those whose outcome is missing or says otherwise.
-- $1 findings of a kind at most; $2, $3 currencies and the worth of their minor unit; $4 the events that cannot be read.
WITH allocated AS (
    SELECT payment_id, sum(amount) AS amount, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee
    FROM allocations
    WHERE entry = 'payment'
    GROUP BY payment_id
), tolerated AS (
    SELECT payment_id, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee
    FROM allocations
    WHERE entry = 'tolerance'
    GROUP BY payment_id
), compared AS (
    SELECT p.id, p.company, p.idempotency_key, p.event_id, p.amount, p.unfocused, coalesce(c.unit, 1) AS unit,
           coalesce(a.amount, 0) AS lines, coalesce(a.capital + a.interest + a.noticefee, 0) AS focused,
           p.statusid = 6 OR p.cancels IS NOT NULL AS moves_money,
           -- A cancellation has named it before it has come: there is nothing to tell of it yet.
           p.event_id IS NULL AND p.fingerprint IS NULL AND p.is_cancelled AND p.cancels IS NULL AND p.amount = 0
               AND (p.statusid, p.reason) = (11, 'payment_cancelled') AS is_to_come,
           o.event_id IS NOT NULL AS has_outcome, e.event IS NOT NULL AS is_readable,
           ARRAY[p.company, p.idempotency_key, p.id::text, p.source, p.statusid::text,
               p.company, p.idempotency_key, p.id::text, p.source, p.statusid::text, p.event_id::text, p.reason, p.currency,
               -- The driver writes the calendar's first and last day as infinity.
               CASE p.paydate WHEN 'infinity' THEN '9999-12-31' WHEN '-infinity' THEN '0001-01-01' ELSE p.paydate::text END,
               (p.amount * c.unit)::text, (p.unfocused * c.unit)::text, (coalesce(a.capital, 0) * c.unit)::text,
               (coalesce(a.interest, 0) * c.unit)::text, (coalesce(a.noticefee, 0) * c.unit)::text,
               (coalesce(t.capital, 0) * c.unit)::text, (coalesce(t.interest, 0) * c.unit)::text, (coalesce(t.noticefee, 0) * c.unit)::text,
               (p.surcharge * c.unit)::text, p.settled_by, p.cancels::text] AS expected,
           ARRAY[o.company, o.idempotency_key, o.payment_id::text, o.source, o.statusid::text,
               event ->> 'company', event ->> 'idempotency_key', event ->> 'payment_id', event ->> 'source', event ->> 'statusid',
               event ->> 'event_id', event ->> 'reason', event ->> 'currency', event ->> 'paydate',
               event ->> 'amount', event ->> 'unfocused', event ->> 'focusedtocapital',
               event ->> 'focusedtointerest', event ->> 'focusedtonoticefee',
               -- Events from before these were known lack them.
               coalesce(event ->> 'writtenoffcapital', c.zero), coalesce(event ->> 'writtenoffinterest', c.zero),
               coalesce(event ->> 'writtenoffnoticefee', c.zero), coalesce(event ->> 'surcharge', c.zero),
               coalesce(event ->> 'settled_by', 'money'),
               -- One that was not done names a payment too.
               CASE WHEN p.cancels IS NOT NULL OR event ->> 'reason' = 'cancelled' THEN event #>> '{cancels,payment_id}' END] AS found
    FROM payments p
    LEFT JOIN allocated a ON a.payment_id = p.id
    LEFT JOIN tolerated t ON t.payment_id = p.id
    LEFT JOIN outcomes o USING (event_id)
    LEFT JOIN (
        SELECT currency, unit, (0 * unit)::text AS zero FROM unnest($2::text[], $3::numeric[]) AS u (currency, unit)
    ) AS c ON c.currency = p.currency
    -- As a row of its own the body is read once, not anew for each of its fields, and by several processes.
    CROSS JOIN unnest(ARRAY[CASE WHEN o.event_id = ANY ($4::uuid[]) THEN NULL ELSE convert_from(o.body, 'UTF8')::jsonb END]) AS e (event)
), damaged AS MATERIALIZED (
    SELECT *, amount <> focused + unfocused OR moves_money AND amount <> lines AS is_wrong_sum
    FROM compared
    WHERE amount <> focused + unfocused OR moves_money AND amount <> lines OR expected IS DISTINCT FROM found AND NOT is_to_come
), findings AS (
    SELECT 'payment_sum' AS kind, d.*, format('amount %s', amount * unit) AS told_expected,
           format('focused %s + unfocused %s, on lines of %s', focused * unit, unfocused * unit, lines * unit) AS told_found
    FROM damaged d
    WHERE is_wrong_sum
    UNION ALL
    SELECT 'outcome_missing', d.*, coalesce('event ' || event_id, 'an event'), 'no such outcome'
    FROM damaged d
    WHERE NOT has_outcome
    UNION ALL
    SELECT 'outcome_unreadable', d.*, format('event %s as JSON', event_id), 'no JSON'
    FROM damaged d
    WHERE has_outcome AND NOT is_readable
    UNION ALL
    SELECT 'outcome_disagrees', d.*, said.expected, said.found
    FROM damaged d
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%s %s', s.name, coalesce(s.expected, 'none')), ', ') AS expected,
               string_agg(format('%s %s', s.name, coalesce(s.found, 'none')), ', ') AS found
        FROM unnest(
            ARRAY['outcomes.company', 'outcomes.idempotency_key', 'outcomes.payment_id', 'outcomes.source', 'outcomes.statusid',
                'company', 'idempotency_key', 'payment_id', 'source', 'statusid', 'event_id', 'reason', 'currency', 'paydate',
                'amount', 'unfocused', 'focusedtocapital', 'focusedtointerest', 'focusedtonoticefee',
                'writtenoffcapital', 'writtenoffinterest', 'writtenoffnoticefee', 'surcharge', 'settled_by', 'cancels.payment_id'],
            d.expected, d.found) AS s (name, expected, found)
        WHERE s.expected IS DISTINCT FROM s.found
    ) said
    WHERE has_outcome AND is_readable AND d.expected IS DISTINCT FROM d.found
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, NULL AS wallet, told_expected AS expected, told_found AS found, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
