-- Payments whose amount is not what was allocated of it and what was not, and those whose outcome is missing or says otherwise.
-- $1 findings of a kind at most; $2 to $3 the payments' ids; $4, $5 currencies and the worth of their minor unit; $6 whether the event
-- (there is but one, then) cannot be read.
WITH allocated AS (
    SELECT payment_id, sum(amount) AS amount, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee,
           max(line) = 1 AND count(line_references) = 0 AS is_plain
    FROM allocations
    WHERE entry = 'payment' AND payment_id BETWEEN $2 AND $3
    GROUP BY payment_id
), tolerated AS (
    SELECT payment_id, sum(capital) AS capital, sum(interest) AS interest, sum(noticefee) AS noticefee
    FROM allocations
    WHERE entry = 'tolerance' AND payment_id BETWEEN $2 AND $3
    GROUP BY payment_id
), cancelled AS (
    SELECT c.id, p.idempotency_key FROM payments c JOIN payments p ON p.id = c.cancels WHERE c.id BETWEEN $2 AND $3
), compared AS (
    SELECT p.id, p.company, p.idempotency_key, p.event_id, p.amount, p.unfocused, coalesce(c.unit, 1) AS unit,
           coalesce(a.amount, 0) AS allocated, coalesce(a.capital + a.interest + a.noticefee, 0) AS focused, m.moves_money, p.cancels IS NOT NULL AS is_cancellation, c.zero, e.event, l.lines,
           -- A cancellation has named it before it has come: there is nothing to tell of it yet.
           p.event_id IS NULL AND p.fingerprint IS NULL AND p.is_cancelled AND p.cancels IS NULL AND p.amount = 0
               AND (p.statusid, p.reason) = (11, 'payment_cancelled') AS is_to_come,
           o.event_id IS NOT NULL AS has_outcome, e.event IS NOT NULL AS is_readable,
           -- What the only line says is said of the whole as well, and so it is compared with the books already.
           jsonb_array_length(l.lines) = 1 AND (a.is_plain OR a.payment_id IS NULL AND NOT m.moves_money)
               AND e.event @> (l.lines -> 0) - 'references' AND l.lines -> 0 ?& ARRAY['amount', 'unfocused', 'capitalbefore', 'capitalafter',
                   'focusedtocapital', 'interestbefore', 'interestafter', 'focusedtointerest', 'noticefeebefore', 'noticefeeafter',
                   'focusedtonoticefee']
               AND (NOT m.moves_money OR l.lines #> '{0,references}' = '{}') AS has_plain_line,
           ARRAY[p.company, p.idempotency_key, p.id::text, p.source, p.statusid::text,
               p.company, p.idempotency_key, p.id::text, p.source, p.statusid::text, p.event_id::text, p.reason, p.currency,
               ('{UNDONE,FAIL,OLD,ROPO,ROPO_REFUND,CLOSE,OHISPAY,NULL,IGNORE,DIFFCID,NOT_FOUND,CANCELLED}'::text[])[p.statusid + 1],
               o.occurred_at::text,
               -- The driver writes the calendar's first and last day as infinity.
               CASE p.paydate WHEN 'infinity' THEN '9999-12-31' WHEN '-infinity' THEN '0001-01-01' ELSE p.paydate::text END,
               (p.amount * c.unit)::text, (p.unfocused * c.unit)::text, (coalesce(a.capital, 0) * c.unit)::text,
               (coalesce(a.interest, 0) * c.unit)::text, (coalesce(a.noticefee, 0) * c.unit)::text,
               (coalesce(t.capital, 0) * c.unit)::text, (coalesce(t.interest, 0) * c.unit)::text, (coalesce(t.noticefee, 0) * c.unit)::text,
               greatest((event ->> 'capitalbefore')::numeric - (event ->> 'focusedtocapital')::numeric
                   - coalesce(event ->> 'writtenoffcapital', c.zero)::numeric, 0)::text,
               greatest((event ->> 'interestbefore')::numeric - (event ->> 'focusedtointerest')::numeric
                   - coalesce(event ->> 'writtenoffinterest', c.zero)::numeric, 0)::text,
               greatest((event ->> 'noticefeebefore')::numeric - (event ->> 'focusedtonoticefee')::numeric
                   - coalesce(event ->> 'writtenoffnoticefee', c.zero)::numeric, 0)::text,
               (p.surcharge * c.unit)::text, p.settled_by, p.cancels::text,
               x.idempotency_key] AS expected,
           ARRAY[o.company, o.idempotency_key, o.payment_id::text, o.source, o.statusid::text,
               event ->> 'company', event ->> 'idempotency_key', event ->> 'payment_id', event ->> 'source', event ->> 'statusid',
               event ->> 'event_id', event ->> 'reason', event ->> 'currency', event ->> 'status',
               (event ->> 'occurred_at')::timestamptz::text, event ->> 'paydate',
               event ->> 'amount', event ->> 'unfocused', event ->> 'focusedtocapital',
               event ->> 'focusedtointerest', event ->> 'focusedtonoticefee',
               -- Events from before these were known lack them.
               coalesce(event ->> 'writtenoffcapital', c.zero), coalesce(event ->> 'writtenoffinterest', c.zero),
               coalesce(event ->> 'writtenoffnoticefee', c.zero),
               event ->> 'capitalafter', event ->> 'interestafter', event ->> 'noticefeeafter', coalesce(event ->> 'surcharge', c.zero),
               coalesce(event ->> 'settled_by', 'money'),
               -- One that was not done names a payment too.
               CASE WHEN p.cancels IS NOT NULL OR event ->> 'reason' = 'cancelled' THEN event #>> '{cancels,payment_id}' END,
               CASE WHEN p.cancels IS NOT NULL OR event ->> 'reason' = 'cancelled' THEN event #>> '{cancels,idempotency_key}' END] AS found
    FROM payments p
    LEFT JOIN allocated a ON a.payment_id = p.id
    LEFT JOIN tolerated t ON t.payment_id = p.id
    LEFT JOIN cancelled x ON x.id = p.id
    LEFT JOIN outcomes o USING (event_id)
    LEFT JOIN (
        SELECT currency, unit, (0 * unit)::text AS zero FROM unnest($4::text[], $5::numeric[]) AS u (currency, unit)
    ) AS c ON c.currency = p.currency
    -- As a row of its own the body is read once, not anew for each of its fields, and by several processes.
    CROSS JOIN unnest(ARRAY[CASE WHEN NOT $6::boolean THEN convert_from(o.body, 'UTF8')::jsonb END]) AS e (event)
    CROSS JOIN unnest(ARRAY[CASE jsonb_typeof(event -> 'lines') WHEN 'array' THEN event -> 'lines' ELSE '[]' END]) AS l (lines)
    CROSS JOIN LATERAL (SELECT p.statusid = 6 OR p.cancels IS NOT NULL AS moves_money) AS m
    WHERE p.id BETWEEN $2 AND $3
), told AS (
    SELECT c.*, s.expected AS lines_expected, s.found AS lines_found
    FROM compared c
    LEFT JOIN LATERAL (
        SELECT string_agg(format('%s %s', r.name, coalesce(r.expected, 'none')), ', ' ORDER BY r.number, r.place) AS expected,
               string_agg(format('%s %s', r.name, coalesce(r.found, 'none')), ', ' ORDER BY r.number, r.place) AS found
        FROM (
            SELECT b.number, s.place, format('lines.%s.%s', b.number, s.name) AS name, s.expected, s.found
            FROM (
                SELECT number, e.line, (a.amount * c.unit)::text AS amount, ((a.amount - a.focused) * c.unit)::text AS unfocused,
                       (a.capital * c.unit)::text AS capital, (a.interest * c.unit)::text AS interest, (a.noticefee * c.unit)::text AS noticefee,
                       (coalesce(t.capital, 0) * c.unit)::text AS capital_written_off,
                       (coalesce(t.interest, 0) * c.unit)::text AS interest_written_off,
                       (coalesce(t.noticefee, 0) * c.unit)::text AS noticefee_written_off,
                       coalesce(a.line_references, '{}')::text AS line_references
                FROM jsonb_array_elements(c.lines) WITH ORDINALITY AS e (line, number)
                FULL JOIN (
                    SELECT *, line AS number, capital::numeric + interest + noticefee AS focused
                    FROM allocations
                    WHERE payment_id = c.id AND entry = 'payment'
                ) AS a USING (number)
                LEFT JOIN (SELECT * FROM allocations WHERE payment_id = c.id AND entry = 'tolerance') AS t ON t.line = number
            ) AS b
            CROSS JOIN LATERAL unnest(
                ARRAY['amount', 'unfocused', 'focusedtocapital', 'focusedtointerest', 'focusedtonoticefee', 'writtenoffcapital',
                    'writtenoffinterest', 'writtenoffnoticefee', 'capitalafter', 'interestafter', 'noticefeeafter', 'references'],
                -- Lines of what is not booked stand nowhere but in the event.
                CASE WHEN c.moves_money
                    THEN ARRAY[b.amount, b.unfocused, b.capital, b.interest, b.noticefee]
                    ELSE ARRAY[b.line ->> 'amount', b.line ->> 'amount', c.zero, c.zero, c.zero]
                END || ARRAY[b.capital_written_off, b.interest_written_off, b.noticefee_written_off,
                    greatest((b.line ->> 'capitalbefore')::numeric - (b.line ->> 'focusedtocapital')::numeric
                        - coalesce(b.line ->> 'writtenoffcapital', c.zero)::numeric, 0)::text,
                    greatest((b.line ->> 'interestbefore')::numeric - (b.line ->> 'focusedtointerest')::numeric
                        - coalesce(b.line ->> 'writtenoffinterest', c.zero)::numeric, 0)::text,
                    greatest((b.line ->> 'noticefeebefore')::numeric - (b.line ->> 'focusedtonoticefee')::numeric
                        - coalesce(b.line ->> 'writtenoffnoticefee', c.zero)::numeric, 0)::text,
                    CASE WHEN c.moves_money THEN b.line_references ELSE b.line ->> 'references' END],
                ARRAY[b.line ->> 'amount', b.line ->> 'unfocused', b.line ->> 'focusedtocapital', b.line ->> 'focusedtointerest',
                    b.line ->> 'focusedtonoticefee', coalesce(b.line ->> 'writtenoffcapital', c.zero),
                    coalesce(b.line ->> 'writtenoffinterest', c.zero), coalesce(b.line ->> 'writtenoffnoticefee', c.zero),
                    b.line ->> 'capitalafter', b.line ->> 'interestafter', b.line ->> 'noticefeeafter', b.line ->> 'references']
            ) WITH ORDINALITY AS s (name, expected, found, place)
            -- Of a line that is missing here or there its amount says enough.
            WHERE NOT c.moves_money OR place = 1 OR b.line IS NOT NULL AND b.amount IS NOT NULL
            UNION ALL
            SELECT 1, 100, 'lines.1.' || o.key, c.event ->> o.key, o.value
            FROM jsonb_each_text(CASE WHEN jsonb_array_length(c.lines) = 1 AND jsonb_typeof(c.lines -> 0) = 'object' THEN c.lines -> 0 END)
                AS o (key, value)
            WHERE o.key NOT IN ('references', 'amount', 'unfocused') AND o.key NOT LIKE 'focused%' AND o.key NOT LIKE 'writtenoff%'
            UNION ALL
            SELECT 0, 1, 'amount of the lines', c.event ->> 'amount', sum((e.line ->> 'amount')::numeric)::text
            FROM jsonb_array_elements(c.lines) AS e (line)
            HAVING count(*) > 0 AND NOT c.moves_money
        ) AS r
        WHERE r.expected IS DISTINCT FROM r.found AND c.is_readable AND c.has_plain_line IS NOT TRUE
            -- A cancellation that would be too long an event is told without its lines.
            AND NOT (c.is_cancellation AND c.lines = '[]')
    ) AS s ON true
), damaged AS MATERIALIZED (
    SELECT *, amount <> focused + unfocused OR moves_money AND amount <> allocated AS is_wrong_sum
    FROM told
    WHERE amount <> focused + unfocused OR moves_money AND amount <> allocated OR lines_expected IS NOT NULL
        OR expected IS DISTINCT FROM found AND NOT is_to_come
), findings AS (
    SELECT 'payment_sum' AS kind, d.*, format('amount %s', amount * unit) AS told_expected,
           format('focused %s + unfocused %s, on lines of %s', focused * unit, unfocused * unit, allocated * unit) AS told_found
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
    SELECT 'outcome_disagrees', d.*, concat_ws(', ', said.expected, lines_expected), concat_ws(', ', said.found, lines_found)
    FROM damaged d
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%s %s', s.name, coalesce(s.expected, 'none')), ', ') AS expected,
               string_agg(format('%s %s', s.name, coalesce(s.found, 'none')), ', ') AS found
        FROM unnest(
            ARRAY['outcomes.company', 'outcomes.idempotency_key', 'outcomes.payment_id', 'outcomes.source', 'outcomes.statusid',
                'company', 'idempotency_key', 'payment_id', 'source', 'statusid', 'event_id', 'reason', 'currency', 'status',
                'occurred_at', 'paydate', 'amount', 'unfocused', 'focusedtocapital', 'focusedtointerest', 'focusedtonoticefee',
                'writtenoffcapital', 'writtenoffinterest', 'writtenoffnoticefee', 'capitalafter', 'interestafter', 'noticefeeafter',
                'surcharge', 'settled_by', 'cancels.payment_id', 'cancels.idempotency_key'],
            d.expected, d.found) AS s (name, expected, found)
        WHERE s.expected IS DISTINCT FROM s.found
    ) said
    WHERE has_outcome AND is_readable AND (d.expected IS DISTINCT FROM d.found OR lines_expected IS NOT NULL)
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS number, count(*) OVER (PARTITION BY kind) AS of_kind FROM findings
)
SELECT kind, company, idempotency_key, NULL AS invoice, NULL AS wallet, told_expected AS expected, told_found AS found,
       'payment ' || id AS subject, of_kind
FROM numbered
WHERE number <= $1
ORDER BY kind, number
