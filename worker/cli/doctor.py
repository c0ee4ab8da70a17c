"""`payment-worker doctor`: whether a worker could run here, and if not, what to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial

import aiormq
import asyncpg
import click
from aio_pika.abc import AbstractChannel, AbstractConnection
from pamqp.commands import Basic

from schemas import catalog
from schemas.outcome import Status
from worker.books.migrate import encoding_lack, migrations
from worker.books.rights import RUN
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.broker.channel import never
from worker.broker.connection import brief_channel, link_errors
from worker.broker.topology import CONSUMED, QUEUES, RETRY_RETURN, declare, retry_name
from worker.cli.broker import broker
from worker.cli.failure import explain
from worker.cli.links import weakness_of_broker, weakness_of_database
from worker.cli.servers import masked, read_urls
from worker.cli.terminal import json_option, print_json, shown
from worker.domain.errors import WorkerError
from worker.limits import CONNECT_TIMEOUT_S, RETRY_TIERS_S

EXCHANGES = (catalog.PAYMENTS, catalog.OUTCOMES, catalog.DEAD_LETTER, RETRY_RETURN, *map(retry_name, RETRY_TIERS_S))
PUBLISHED = (
    (catalog.OUTCOMES, catalog.outcome_key("doctor", Status.FAIL.name)),
    *((name, "registration.doctor") for name in (catalog.DEAD_LETTER, *map(retry_name, RETRY_TIERS_S))),
    ("", "doctor"),
)
"""The exchanges that a worker publishes to, the default one for replies, and a routing key such as it has there."""
_UNREAD = "RabbitMQ reads nothing more from who publishes: is it short of memory or disk? Outcomes will wait for that"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `detail` says what was found, and what to do where it is not ok."""

    check: str
    ok: bool
    detail: str
    is_warning: bool = False
    """A worker could run, but something ought to be otherwise."""


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check settings, both servers, schema, topology and rights.

    Exit 0 only if a worker could run here, if only as another user of RabbitMQ: a warning says so.
    """
    checks = asyncio.run(_examine())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            said = "warning" if check.is_warning else "ok" if check.ok else "FAILED"
            click.echo(f"{said:<7} {check.check:<12} {shown(check.detail)}")
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(1)


def _ok(check: str, detail: str) -> Check:
    return Check(check, ok=True, detail=detail)


def _warned(check: str, detail: str) -> Check:
    return Check(check, ok=True, detail=detail, is_warning=True)


def _failed(check: str, detail: str) -> Check:
    return Check(check, ok=False, detail=detail)


async def _examine() -> list[Check]:
    try:
        _, amqp_url, database_url = read_urls()
    except WorkerError as error:
        return [_failed("settings", str(error))]
    found = [_ok("settings", f"{masked(database_url)} and {masked(amqp_url)}")]
    for name, examined in (("postgres", _postgres(database_url)), ("rabbitmq", _rabbitmq(amqp_url))):
        try:
            found += [check async for check in examined]
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what is wrong)
            found.append(_failed(name, _explained(error)))
    return found


def _explained(error: Exception) -> str:
    """Return what a command would say, but for the advice to ask the doctor."""
    said = explain(error).replace("; `payment-worker doctor` says what lacks", "")
    return said.removesuffix(" `payment-worker doctor` says more")


async def _postgres(url: str) -> AsyncIterator[Check]:
    async with Session(url, "doctor") as session, session.connection() as connection:
        tls = await connection.fetchval(query("tls_version"))
        yield _ok("postgres", f"version {_dotted(connection.get_server_version())}, {tls or 'not encrypted'}")
        if weakness := weakness_of_database(url):
            yield _warned("tls", weakness)
        schema = _encoding(connection) or await _schema(connection)
        yield schema
        if schema.ok:
            yield await _rights(connection)


def _encoding(connection: Connection) -> Check | None:
    lack = encoding_lack(connection)
    return _failed("encoding", lack) if lack else None


async def _rights(connection: Connection) -> Check:
    """Say whether the login may do what a worker does, and whether it may do more than a worker ought to."""
    if lacks := [row["lacks"] for row in await connection.fetch(query("rights_lacking"))]:
        return _failed(
            "rights",
            f"the login in PAYMENT_WORKER_DATABASE_URL lacks {', '.join(lacks)}: a worker's is a member of {RUN}, "
            "which gets its rights from `payment-worker setup`",
        )
    if await connection.fetchval(query("rights_of_owner")):
        return _warned("rights", f"more than a worker needs: this login could change what is booked. Take one of {RUN}")
    return _ok("rights", "what a worker needs, and nothing more")


def _dotted(version: asyncpg.types.ServerVersion) -> str:
    return f"{version.major}.{version.micro}"


async def _schema(connection: Connection) -> Check:
    try:
        applied = {row["version"]: row["checksum"] for row in await connection.fetch(query("applied_migrations"))}
    except asyncpg.UndefinedTableError:
        return _failed("schema", "there is none yet: run `payment-worker setup`")
    ours = {migration.version: migration.checksum for migration in migrations()}
    if missing := sorted(ours.keys() - applied.keys()):
        return _failed("schema", f"not migrated to {', '.join(missing)}: run `payment-worker setup`")
    if changed := sorted(version for version in ours if ours[version] != applied[version]):
        return _failed("schema", f"applied from another file: {', '.join(changed)}. Use the release that applied it")
    newer = sorted(applied.keys() - ours.keys())
    return _ok("schema", f"at {max(applied)}" + (", newer than this release" if newer else ""))


async def _rabbitmq(url: str) -> AsyncIterator[Check]:
    async with broker("doctor") as connection:
        yield _ok("rabbitmq", f"version {_version(connection)}")
        if weakness := weakness_of_broker(url):
            yield _warned("tls", weakness)
        topology = await _topology(connection)
        yield topology
        if topology.ok:
            yield await _permissions(connection)


def _version(connection: AbstractConnection) -> str:
    properties = getattr(getattr(connection.transport, "connection", None), "server_properties", None) or {}
    version = properties.get("version", "unknown")
    return version.decode() if isinstance(version, bytes | bytearray) else str(version)


async def _topology(connection: AbstractConnection) -> Check:
    """Look for all that there must be; where it is there, declare it, which tells whether its arguments are right."""
    with link_errors("looking at the topology"):
        try:
            missing = [f"exchange {name}" for name in EXCHANGES if not await _is_there(connection, "exchange", name)]
            missing += [f"queue {name}" for name in QUEUES if not await _is_there(connection, "queue", name)]
        except aiormq.exceptions.ChannelAccessRefused:
            # From RabbitMQ 4.3 on a look takes the right to configure, which a worker does not need.
            return _ok("topology", "not this user's to look at: ask `payment-worker doctor` as the user of `setup`")
        if missing:
            return _failed("topology", f"missing: {', '.join(missing)}. Run `payment-worker setup`")
        try:
            await declare(connection)
        except aiormq.exceptions.ChannelAccessRefused:
            return _ok("topology", "all there; its arguments and bindings are not this user's to check")
    return _ok("topology", f"{len(EXCHANGES)} exchanges and {len(QUEUES)} queues, all as they should be")


async def _permissions(connection: AbstractConnection) -> Check:
    """Say whether a worker could be this user. Nothing is delivered or published."""
    probes = {f"read {queue}": partial(_consume, queue) for queue in CONSUMED}
    probes |= {f"publish to {name or 'amq.default (replies)'}": partial(_publish, name, key) for name, key in PUBLISHED}
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            with link_errors("looking at the permissions"):
                lacks = [what for what, probe in probes.items() if not await _may(connection, probe)]
    except TimeoutError:
        return _warned("permissions", _UNREAD)
    if lacks:
        return _warned("permissions", f"this user may not {', '.join(lacks)}: no worker can run as it")
    return _ok("permissions", "a worker could run as this user")


async def _consume(queue: str, channel: AbstractChannel) -> None:
    await (await channel.get_queue(queue, ensure=False)).consume(never, arguments={"x-priority": "none"})


async def _publish(exchange: str, routing_key: str, channel: AbstractChannel) -> None:
    properties = Basic.Properties(expiration="none")
    driver = await channel.get_underlay_channel()
    await driver.basic_publish(b"", exchange=exchange, routing_key=routing_key, properties=properties)


async def _may(connection: AbstractConnection, probe: Callable[[AbstractChannel], Awaitable[None]]) -> bool:
    """Say whether the user may do what the probe asks for. Its arguments are refused, but only after the permission."""
    try:
        async with brief_channel(connection) as channel:
            await probe(channel)
    except aiormq.exceptions.ChannelAccessRefused:
        return False
    except aiormq.exceptions.ChannelPreconditionFailed:
        pass
    return True


async def _is_there(connection: AbstractConnection, kind: str, name: str) -> bool:
    try:
        async with brief_channel(connection) as channel:
            if kind == "exchange":
                await channel.declare_exchange(name, passive=True)
            else:
                await channel.declare_queue(name, passive=True)
    except aiormq.exceptions.ChannelNotFoundEntity:
        return False
    return True
