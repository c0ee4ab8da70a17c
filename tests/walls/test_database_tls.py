"""TLS to Postgres: with a certificate that is sound all works; with any other nothing does, and a line says why."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.servers import Servers
from tests.integration.command_line import DEADLINE_S, CommandLine
from tests.places import Database, Vhost, database_url, new_database, new_vhost
from tests.site import Site, open_site
from tests.walls.authorities import Authorities, Certificate, new_authorities
from tests.walls.database_tls import TlsServer, tls_server
from worker.books.migrate import migrate
from worker.cli.links import weakness_of_broker, weakness_of_database


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return new_authorities(tmp_path_factory.mktemp("authorities"))


@pytest.fixture(scope="module")
def place(own_servers: Servers) -> Iterator[tuple[Database, Vhost]]:
    with new_database(own_servers) as name, new_vhost(own_servers) as vhost:
        database = Database(database_url(own_servers, name))
        asyncio.run(migrate(database.url))
        yield database, vhost


@pytest.fixture
async def server(place: tuple[Database, Vhost], authorities: Authorities) -> AsyncIterator[TlsServer]:
    async with tls_server(place[0].url, authorities) as server:
        yield server


@pytest.fixture
async def site(place: tuple[Database, Vhost], server: TlsServer) -> AsyncIterator[Site]:  # noqa: ARG001
    async with open_site(*place) as site:
        yield site


def with_tls(url: str, ca: Path, host: str = "127.0.0.1", client: Certificate | None = None) -> str:
    """Return the URL with all that the README says of TLS."""
    said = {"sslmode": "verify-full", "sslrootcert": str(ca)}
    if client is not None:
        said |= {"sslcert": str(client.certificate), "sslkey": str(client.key)}
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{host}:{parts.port}", query=urlencode(said)))


async def is_encrypted(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    finally:
        await connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_with_the_right_name_and_authority_all_is_encrypted(
    site: Site, authorities: Authorities, host: str
) -> None:
    url = with_tls(site.database_url, authorities.ca, host)
    assert await is_encrypted(url)
    line = CommandLine(site.amqp_url, url)
    assert "TLSv1" in (await line.succeed("doctor")).stdout
    await line.succeed("setup")
    site.database_url = url
    async with site.worker():
        await site.pay(key=f"by {host}")
        assert (await site.next_event()).body["reason"] == "invoice_not_found"


REFUSED = {
    "a wrong name": ("misnamed_server", "ca", "certificate is not valid for '127.0.0.1'"),
    "an unknown authority": ("unknown_server", "ca", "unable to get local issuer certificate"),
    "another authority than is trusted": ("server", "unknown_ca", "certificate in certificate chain"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_certificate_that_is_not_sound_is_refused_and_a_line_says_why(
    server: TlsServer, site: Site, authorities: Authorities, case: str
) -> None:
    shown, trusted, why = REFUSED[case]
    await server.show(getattr(authorities, shown))
    line = CommandLine(site.amqp_url, with_tls(site.database_url, getattr(authorities, trusted)))
    for command in (("companies", "list"), ("audit",), ("setup",)):
        told = await line.fail(*command)
        assert why in told
        assert "sslrootcert" in told
    doctor = await line.run("doctor", "--json")
    assert doctor.status == 1
    (failed,) = [check["detail"] for check in doctor.json if not check["ok"] and check["check"] == "postgres"]
    assert why in failed


@asynccontextmanager
async def running(line: CommandLine) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker as a process of its own, stopped as by a service manager."""
    worker = await line.start("run")
    try:
        yield worker
    finally:
        worker.terminate()
        await line.end(worker)


async def logged(worker: asyncio.subprocess.Process, event: str) -> dict[str, str]:
    assert worker.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        while said := json.loads(await worker.stderr.readline()):
            if said["event"] == event:
                return dict(said)
    raise AssertionError


async def test_a_worker_waits_for_a_sound_certificate_says_so_and_charges_no_message(
    server: TlsServer, site: Site, authorities: Authorities
) -> None:
    await server.show(authorities.misnamed_server)
    line = CommandLine(site.amqp_url, with_tls(site.database_url, authorities.ca))
    async with running(line) as worker:
        await logged(worker, "taking messages")
        await site.pay(key="waits")
        said = await logged(worker, "server away, deliveries held")
        assert "certificate is not valid for '127.0.0.1'" in said["error"]
        await server.show(authorities.server)
        event = await site.event_of("waits")
        await logged(worker, "server back")
    assert event.body["reason"] == "invoice_not_found"
    assert await site.dead_letters(0) == []


async def test_a_login_may_have_to_show_a_certificate_of_its_own(
    server: TlsServer, site: Site, authorities: Authorities
) -> None:
    login = urlsplit(site.database_url).username or ""
    async with server.asks_for_a_certificate_of(login):

        async def run(client: Certificate | None) -> tuple[int, str]:
            line = CommandLine(site.amqp_url, with_tls(site.database_url, authorities.ca, client=client))
            done = await line.run("companies", "list")
            return done.status, done.stderr

        assert await run(authorities.client_of(login)) == (0, "")
        for client in (None, authorities.client_of("somebody_else"), authorities.unknown_client_of(login)):
            status, told = await run(client)
            assert status == 1
            assert len(told.splitlines()) == 1
            assert "certificate" in told


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://u@db.example/x", "prefer"),
        ("postgresql://u@127.0.0.1,db.example:5433/x", "prefer"),
        ("postgresql:///x?host=db.example", "prefer"),
        ("postgresql://u@10.0.0.1/x?sslmode=require&sslrootcert=/ca.pem", "require"),
        ("postgresql://u@[2001:db8::1]:5432/x?sslmode=verify-ca&sslrootcert=/ca.pem", "verify-ca"),
    ],
)
def test_a_link_to_a_distant_postgres_that_verifies_no_name_is_weak(url: str, mode: str) -> None:
    told = weakness_of_database(url, {})
    assert told
    assert f"sslmode is {mode}" in told
    assert "sslmode=verify-full" in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example/x?sslmode=verify-full&sslrootcert=/ca.pem",
        "postgresql://u@127.0.0.1:5432/x",
        "postgresql://u@[::1]/x",
        "postgresql://u@localhost,127.0.0.2/x",
        "postgresql:///x",
        "postgresql:///x?host=/run/postgresql",
    ],
)
def test_a_link_to_postgres_that_is_local_or_verified_is_not_weak(url: str) -> None:
    assert weakness_of_database(url, {}) is None


def test_what_the_driver_takes_from_the_environment_counts_too() -> None:
    assert weakness_of_database("postgresql://u@db.example/x", {"PGSSLMODE": "verify-full"}) is None
    assert weakness_of_database("postgresql:///x", {"PGHOST": "db.example"})


def test_a_link_to_a_distant_broker_is_weak_without_verified_tls() -> None:
    for url in ("amqp://u@mq.example/", "amqps://u@mq.example/?no_verify_ssl=1", "amqp://u@127.0.0.1/,amqp://u@b/"):
        assert "amqps://" in (weakness_of_broker(url) or "")
    for url in ("amqp://u@127.0.0.1/", "amqps://u@mq.example/", "amqps://u@mq.example/?no_verify_ssl=0"):
        assert weakness_of_broker(url) is None
