"""payment-worker: registers payments against invoices, from RabbitMQ into Postgres, once."""
