"""RabbitMQ: the topology, what comes in, and what goes out confirmed."""
