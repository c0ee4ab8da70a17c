-- Which of the roles $1 the server has.
SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY rolname
