-- What each row does, or what is wrong with it: the rules of worker/domain/statement.py, for a whole file at once.
-- A row that names the same invoice as an earlier one is wrong, whatever their versions.
WITH same_name AS (
    SELECT line, min(line) OVER (PARTITION BY billcode) AS first_line FROM import_rows WHERE billcode IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY jobid) FROM import_rows WHERE jobid IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY billnum) FROM import_rows WHERE billnum IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY reference_number) FROM import_rows WHERE reference_number IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY back_office_code) FROM import_rows WHERE back_office_code IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY external_id) FROM import_rows WHERE external_id IS NOT NULL
    UNION ALL
    SELECT line, min(line) OVER (PARTITION BY invoice_id) FROM import_matches
), repeated AS (
    SELECT line, min(first_line) AS first_line FROM same_name WHERE first_line <> line GROUP BY line
), matched AS (
    SELECT line, min(invoice_id) AS invoice_id, count(*) > 1 AS is_several FROM import_matches GROUP BY line
), judged AS (
    SELECT r.line, k.id AS invoice_id, m.is_several, d.first_line, k.currency AS known_currency,
        coalesce(r.version <= k.version, k.version = 9223372036854775807, false) AS is_late,
        coalesce(r.version, CASE WHEN k.version < 9223372036854775807 THEN k.version + 1 ELSE k.version END, 1) AS version,
        coalesce(r.currency, k.currency, $1) AS currency,
        r.capital, r.interest, r.noticefee, k.capital_allocated, k.interest_allocated, k.noticefee_allocated
    FROM import_rows r
    LEFT JOIN matched m USING (line)
    LEFT JOIN import_known k ON k.id = m.invoice_id
    LEFT JOIN repeated d USING (line)
), scaled AS (
    SELECT j.*, c.digits, j.capital * 10 ^ c.digits AS capital_minor, j.interest * 10 ^ c.digits AS interest_minor,
        j.noticefee * 10 ^ c.digits AS noticefee_minor,
        j.capital_allocated + j.interest_allocated + j.noticefee_allocated > 0 AS is_booked
    FROM judged j
    JOIN unnest($2::text[], $3::numeric[]) AS c (currency, digits) USING (currency)
)
INSERT INTO import_statements (line, invoice_id, is_late, wrong, currency, version, capital, interest, noticefee)
SELECT line, invoice_id, is_late,
    CASE
        WHEN first_line IS NOT NULL THEN format('names the same invoice as line %s', first_line)
        WHEN is_several THEN 'has identifiers of several invoices'
        WHEN is_late THEN NULL
        WHEN scale(capital) > digits THEN format('capital has more than the %s decimal digits of %s', digits, currency)
        WHEN scale(interest) > digits THEN format('interest has more than the %s decimal digits of %s', digits, currency)
        WHEN scale(noticefee) > digits THEN format('noticefee has more than the %s decimal digits of %s', digits, currency)
        WHEN greatest(capital_minor, interest_minor, noticefee_minor) > 9223372036854775807 THEN format('has an amount too large for %s', currency)
        WHEN is_booked AND currency <> known_currency THEN format('currency cannot change from %s: payments are booked in it', known_currency)
        WHEN capital_minor < capital_allocated THEN 'capital is less than what is already allocated: cancel payments first'
        WHEN interest_minor < interest_allocated THEN 'interest is less than what is already allocated: cancel payments first'
        WHEN noticefee_minor < noticefee_allocated THEN 'noticefee is less than what is already allocated: cancel payments first'
    END,
    currency, version, capital_minor, interest_minor, noticefee_minor
FROM scaled
