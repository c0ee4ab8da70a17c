"""The servers, and for each test its own database and its own vhost on them."""

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.servers import Servers, Unavailable, provide
from deploy.servers.answers import ask_management


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


def pytest_configure() -> None:
    # Fixtures take down what they put up when the run is terminated, as they do on Ctrl-C; also where the run was
    # started in the background, with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"servers", "own_servers"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    with provided(request, os.environ) as found:
        yield found


@pytest.fixture(scope="session")
def own_servers(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Servers]:
    """Servers that a test may stop and kill: `servers`, unless somebody else runs those."""
    if servers.way == "env":
        with provided(request, {}) as found:
            yield found
    else:
        yield servers


@contextmanager
def provided(request: pytest.FixtureRequest, environment: Mapping[str, str]) -> Iterator[Servers]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with ExitStack() as stack:
        try:
            with capture.global_and_fixture_disabled():
                found = stack.enter_context(provide(environment))
        except Unavailable as error:
            pytest.fail(f"No servers: {error}.", pytrace=False)
        yield found


@pytest.fixture(scope="session")
def migrated_template(servers: Servers) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to, for others to be copied from."""
    with new_database(servers) as name:
        from worker.books.migrate import migrate  # noqa: PLC0415 - only tests with a database need it

        asyncio.run(migrate(database_url(servers, name)))
        yield name


@pytest.fixture
def database(servers: Servers, migrated_template: str) -> Iterator[Database]:
    with new_database(servers, template=migrated_template) as name:
        yield Database(database_url(servers, name))


@pytest.fixture
def vhost(servers: Servers) -> Iterator[Vhost]:
    with new_vhost(servers) as vhost:
        yield vhost


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
def new_database(servers: Servers, template: str = "template1") -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    run_sql(servers, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
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
