-- The version of TLS that protects this connection; none where nothing does.
SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl
