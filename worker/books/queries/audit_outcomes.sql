-- Outcomes of no payment, outcomes that tell of a booking or a cancellation that the payment does not hold, and what else was told
-- beside a payment's last event: it moves nothing.
-- $1 findings of a kind at most; $2 to $3 the events' ids; $4, $5 currencies and the worth of their minor unit; $6 whether the event
-- (there is but one, then) cannot be read.
WITH compared AS (
    SELECT o.event_id, o.company, o.idempotency_key, o.payment_id, p.id AS held_id, p.company AS held_company, p.idempotency_key AS held_key,
           p.event_id AS held_event_id, (p.company, p.idempotency_key) IS DISTINCT FROM (o.company, o.idempotency_key) AS is_without_payment,
           o.event_id IS DISTINCT FROM p.event_id AS is_another,
           -- Of the cancelled ones only a cancellation that was done is a booking. Its bytes say so, also where they are no JSON any more.
           o.statusid = 6 OR o.statusid = 11 AND position('"statusid":11,"status":"CANCELLED","reason":"cancelled",'::bytea IN o.body) > 0
               AS tells_booking,
           o.statusid, o.source, o.occurred_at, o.body
    FROM outcomes o
    LEFT JOIN payments p ON p.id = o.payment_id
    WHERE o.event_id BETWEEN $2 AND $3
), others AS MATERIALIZED (
    SELECT o.event_id, o.company, o.idempotency_key, e.event IS NOT NULL AS is_readable,
           ARRAY[o.company, o.idempotency_key, o.payment_id::text, o.source, o.statusid::text, o.event_id::text, o.occurred_at::text,
               ('{UNDONE,FAIL,OLD,ROPO,ROPO_REFUND,CLOSE,OHISPAY,NULL,IGNORE,DIFFCID,NOT_FOUND,CANCELLED}'::text[])[o.statusid + 1]]
               AS expected,
           ARRAY[event ->> 'company', event ->> 'idempotency_key', event ->> 'payment_id', event ->> 'source', event ->> 'statusid',
               event ->> 'event_id', (event ->> 'occurred_at')::timestamptz::text, event ->> 'status'] AS found,
           event, c.zero, CASE jsonb_typeof(event -> 'lines') WHEN 'array' THEN event -> 'lines' ELSE '[]' END AS lines
    FROM compared o
    CROSS JOIN unnest(ARRAY[CASE WHEN NOT $6::boolean THEN convert_from(o.body, 'UTF8')::jsonb END]) AS e (event)
    LEFT JOIN (
        SELECT currency, (0 * unit)::text AS zero FROM unnest($4::text[], $5::numeric[]) AS u (currency, unit)
    ) AS c ON c.currency = event ->> 'currency'
    WHERE o.is_another AND NOT o.tells_booking
), told AS (
    SELECT o.*, said.expected AS told_expected, said.found AS told_found
    FROM others o
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%s %s', r.name, coalesce(r.expected, 'none')), ', ' ORDER BY r.number, r.place) AS expected,
               string_agg(format('%s %s', r.name, coalesce(r.found, 'none')), ', ' ORDER BY r.number, r.place) AS found
        FROM (
            SELECT 0 AS number, s.place, s.name, s.expected, s.found
            FROM unnest(ARRAY['company', 'idempotency_key', 'payment_id', 'source', 'statusid', 'event_id', 'occurred_at', 'status'],
                o.expected, o.found) WITH ORDINALITY AS s (name, expected, found, place)
            UNION ALL
            SELECT b.number, s.place, CASE b.number WHEN 0 THEN '' ELSE format('lines.%s.', b.number) END || s.name, s.expected, s.found
            FROM (
                SELECT 0 AS number, o.event AS line
                UNION ALL
                SELECT number, line FROM jsonb_array_elements(o.lines) WITH ORDINALITY AS e (line, number)
            ) AS b
            CROSS JOIN LATERAL unnest(
                ARRAY['unfocused', 'focusedtocapital', 'focusedtointerest', 'focusedtonoticefee', 'writtenoffcapital', 'writtenoffinterest',
                    'writtenoffnoticefee', 'capitalafter', 'interestafter', 'noticefeeafter'],
                ARRAY[line ->> 'amount', o.zero, o.zero, o.zero, o.zero, o.zero, o.zero,
                    line ->> 'capitalbefore', line ->> 'interestbefore', line ->> 'noticefeebefore'],
                -- Events from before these were known lack them.
                ARRAY[line ->> 'unfocused', line ->> 'focusedtocapital', line ->> 'focusedtointerest', line ->> 'focusedtonoticefee',
                    coalesce(line ->> 'writtenoffcapital', o.zero), coalesce(line ->> 'writtenoffinterest', o.zero),
                    coalesce(line ->> 'writtenoffnoticefee', o.zero), line ->> 'capitalafter', line ->> 'interestafter',
                    line ->> 'noticefeeafter']
            ) WITH ORDINALITY AS s (name, expected, found, place)
            UNION ALL
            SELECT 0, 100, 'amount of the lines', o.event ->> 'amount', sum((line ->> 'amount')::numeric)::text
            FROM jsonb_array_elements(o.lines) AS e (line)
            HAVING count(*) > 0
        ) AS r
        WHERE r.expected IS DISTINCT FROM r.found AND o.is_readable
    ) AS said
), findings AS (
    SELECT 'outcome_without_payment' AS kind, event_id, company, idempotency_key, format('payment %s of this key', payment_id) AS expected,
           CASE WHEN held_id IS NULL THEN 'no such payment' ELSE format('that of %s, key %s', held_company, held_key) END AS found
    FROM compared
    WHERE is_without_payment
    UNION ALL
    SELECT 'outcome_of_another_booking', event_id, company, idempotency_key, coalesce('event ' || held_event_id, 'no event'), 'event ' || event_id
    FROM compared
    WHERE is_another AND held_id IS NOT NULL AND tells_booking
    UNION ALL
    SELECT 'outcome_unreadable', event_id, company, idempotency_key, format('event %s as JSON', event_id), 'no JSON'
    FROM others
    WHERE NOT is_readable
    UNION ALL
    SELECT 'outcome_disagrees', event_id, company, idempotency_key, told_expected, told_found
    FROM told
    WHERE told_expected IS NOT NULL
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY event_id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, NULL AS wallet, expected, found, 'event ' || event_id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
