"""The RabbitMQ and the PostgreSQL that demo and tests run on, and where they come from."""

from deploy.servers.servers import Server, Servers
from deploy.servers.unavailable import Unavailable
from deploy.servers.ways import provide

__all__ = ["Server", "Servers", "Unavailable", "provide"]
