"""RabbitMQ for production: its configuration, and the definitions of who may do what."""
