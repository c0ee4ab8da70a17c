"""A database and a vhost for one test, on servers that others use as well."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.servers import Servers
from deploy.servers.answers import ask_management

ENDED_ALREADY = {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}
"""What RabbitMQ answers where a connection has ended, and where it ends while RabbitMQ is told to end it."""


@dataclass(frozen=True)
class Database:
    """A migrated database of one test."""

    url: str


@dataclass(frozen=True)
class Vhost:
    """An empty vhost of one test."""

    name: str
    amqp_url: str
    management_url: str
    """The RabbitMQ HTTP API; its paths name the vhost, as in `/api/queues/{quote(name, safe='')}`."""

    def end_connection(self, name: str) -> bool:
        """Have the broker end the connection; False where it has ended already, as a worker's other one may have."""
        try:
            ask_management(self.management_url, "DELETE", f"/api/connections/{quote(name, safe='')}")
        except HTTPError as error:
            if error.code not in ENDED_ALREADY:
                raise
            return False
        return True


@contextmanager
def new_vhost(servers: Servers) -> Iterator[Vhost]:
    name = f"test-{secrets.token_hex(6)}"
    address = urlsplit(servers.amqp_url)
    ask_management(servers.management_url, "PUT", f"/api/vhosts/{name}")
    try:
        user = quote(address.username or "guest", safe="")
        everything = b'{"configure": ".*", "write": ".*", "read": ".*"}'
        ask_management(servers.management_url, "PUT", f"/api/permissions/{name}/{user}", everything)
        yield Vhost(name, urlunsplit(address._replace(path=f"/{name}")), servers.management_url)
    finally:
        ask_management(servers.management_url, "DELETE", f"/api/vhosts/{name}")


@contextmanager
def new_database(servers: Servers, template: str = "template1", options: str = "") -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    run_sql(servers, f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
    try:
        yield name
    finally:
        run_sql(servers, f'DROP DATABASE "{name}" WITH (FORCE)')


def database_url(servers: Servers, name: str) -> str:
    return urlunsplit(urlsplit(servers.database_url)._replace(path=f"/{name}"))


def run_sql(servers: Servers, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(servers.database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())
