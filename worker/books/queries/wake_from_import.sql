-- The payments that await one of the file's names are looked at now. $2: by kind of identifier, what comes before the
-- value in an awaited name (worker/books/pending.py).
WITH names AS (
    SELECT ($2::text[])[1] || billcode AS name FROM import_rows WHERE billcode IS NOT NULL
    UNION ALL
    SELECT ($2::text[])[2] || jobid FROM import_rows WHERE jobid IS NOT NULL
    UNION ALL
    SELECT ($2::text[])[3] || billnum FROM import_rows WHERE billnum IS NOT NULL
    UNION ALL
    SELECT ($2::text[])[4] || reference_number FROM import_rows WHERE reference_number IS NOT NULL
    UNION ALL
    SELECT ($2::text[])[5] || back_office_code FROM import_rows WHERE back_office_code IS NOT NULL
    UNION ALL
    SELECT ($2::text[])[6] || external_id FROM import_rows WHERE external_id IS NOT NULL
)
UPDATE pending d
SET wake_at = $1
FROM (
    SELECT DISTINCT p.payment_id FROM pending p CROSS JOIN unnest(p.awaits) AS a (name) JOIN names USING (name)
) awaiting
WHERE d.payment_id = awaiting.payment_id AND d.wake_at > $1 AND d.awaited_since <= $1
