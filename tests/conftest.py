"""The servers, and for each test its own database and its own vhost on them."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from deploy.servers import Servers, Unavailable, provide
from deploy.servers.ways import expect_management
from tests.places import Database, Vhost, database_url, new_database, new_vhost
from tests.private import end_as_on_ctrl_c
from tests.site import Site, open_site

# Every property is tried on as many examples, with no clock on each: the machine may be busy.
settings.register_profile("properties", max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("properties")


def pytest_configure() -> None:
    end_as_on_ctrl_c()  # fixtures then take down what they put up when the run is terminated


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"servers", "own_servers"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a row does so until a slow machine is done with it. Deadlocks are found as ever."""
    monkeypatch.setattr("worker.books.session.LOCK_TIMEOUT_MS", 60_000)


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
                expect_management(found)
        except Unavailable as error:
            pytest.fail(f"No servers: {error}.", pytrace=False)
        yield found


@pytest.fixture(scope="session")
def migrated_template(servers: Servers) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to, for others to be copied from."""
    with migrated(servers) as name:
        yield name


@contextmanager
def migrated(servers: Servers) -> Iterator[str]:
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


@pytest.fixture
def own_database(own_servers: Servers) -> Iterator[Database]:
    with migrated(own_servers) as name:
        yield Database(database_url(own_servers, name))


@pytest.fixture
def own_vhost(own_servers: Servers) -> Iterator[Vhost]:
    with new_vhost(own_servers) as vhost:
        yield vhost


@pytest.fixture
async def site(database: Database, vhost: Vhost) -> AsyncIterator[Site]:
    async with open_site(database, vhost) as site:
        yield site


@pytest.fixture(scope="module")
def shared_place(servers: Servers, migrated_template: str) -> Iterator[tuple[Database, Vhost]]:
    with new_database(servers, template=migrated_template) as name, new_vhost(servers) as vhost:
        yield Database(database_url(servers, name)), vhost


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_site(shared_place: tuple[Database, Vhost]) -> AsyncIterator[Site]:
    """A site with a worker, for a module of many small cases: each keeps to companies and keys of its own.

    Its tests need the mark asyncio(loop_scope="module").
    """
    async with open_site(*shared_place) as site, site.worker():
        yield site
