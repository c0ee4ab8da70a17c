SELECT line, wrong, count(*) OVER () AS wrong_rows FROM import_statements WHERE wrong IS NOT NULL ORDER BY line LIMIT $1
