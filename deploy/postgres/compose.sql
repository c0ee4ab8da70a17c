-- The logins of compose.yaml, whose passwords everybody knows: for a look at it on one machine, and for nothing else.
CREATE ROLE setup LOGIN PASSWORD 'payment-worker';
ALTER DATABASE payments OWNER TO setup;
CREATE ROLE worker LOGIN PASSWORD 'payment-worker' IN ROLE payment_worker_run;
CREATE ROLE import LOGIN PASSWORD 'payment-worker' IN ROLE payment_worker_import;
CREATE ROLE ops LOGIN PASSWORD 'payment-worker' IN ROLE payment_worker_ops;
CREATE ROLE report LOGIN PASSWORD 'payment-worker' IN ROLE payment_worker_read;
