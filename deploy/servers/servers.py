"""What the rest of the project gets to see of its servers, however they were come by."""

from dataclasses import dataclass
from typing import Protocol


class Server(Protocol):
    """One server, RabbitMQ or PostgreSQL, with its port and its data kept over stop, kill and start.

    All of it blocks, and `start` until the server answers; from a coroutine: `await asyncio.to_thread(server.kill)`.
    Raises Unavailable when the server does not come up, or is not ours to stop.
    """

    def start(self) -> None: ...

    def stop(self) -> None:
        """Stop in good order."""
        ...

    def kill(self) -> None:
        """Stop as a power cut would, with SIGKILL."""
        ...

    def restart(self) -> None:
        """Stop in good order and start."""
        ...


class Broker(Server, Protocol):
    """RabbitMQ."""

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl with the arguments. Raises Unavailable when that fails, or when it is not ours to control."""
        ...


@dataclass(frozen=True)
class Servers:
    """RabbitMQ and PostgreSQL with the right to create vhosts and databases."""

    way: str
    """Where they come from: env, docker or native."""
    amqp_url: str
    management_url: str
    """The RabbitMQ HTTP API, with user and password."""
    database_url: str
    broker: Broker
    database: Server

    def environment(self) -> dict[str, str]:
        return {
            "PAYMENT_WORKER_AMQP_URL": self.amqp_url,
            "PAYMENT_WORKER_MANAGEMENT_URL": self.management_url,
            "PAYMENT_WORKER_DATABASE_URL": self.database_url,
        }
