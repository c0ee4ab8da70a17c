"""A server goes away under load and comes back: the workers wait, go on, and nothing is lost or doubled."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractExchange, AbstractQueue
from pydantic import SecretStr

from deploy.servers import Servers
from deploy.servers.servers import Server
from tests.places import Database, Vhost, database_url, new_database, new_vhost
from tests.site import eventually
from worker.app import App
from worker.books.companies import put_policy
from worker.books.migrate import migrate
from worker.broker.topology import declare
from worker.domain.policy import Policy
from worker.settings import Settings

PAYMENTS = 1500
INVOICES = 10
TOLD_BEFORE_THE_KILL = 50


@pytest.fixture
def database(own_servers: Servers) -> Iterator[Database]:
    with new_database(own_servers) as name:
        asyncio.run(migrate(database_url(own_servers, name)))
        yield Database(database_url(own_servers, name))


@pytest.fixture
def vhost(own_servers: Servers) -> Iterator[Vhost]:
    with new_vhost(own_servers) as vhost:
        yield vhost


@asynccontextmanager
async def downstream(vhost: Vhost) -> AsyncIterator[tuple[AbstractExchange, AbstractQueue]]:
    """The exchange that takes payments and the ledger's durable queue, on a connection for just this."""
    async with await aio_pika.connect(vhost.amqp_url) as connection:
        await declare(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await channel.declare_queue("ledger", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind("payments.outcomes", "#")
        yield await channel.get_exchange("payments"), queue


async def fill(database: Database, vhost: Vhost) -> None:
    books = await asyncpg.connect(database.url)
    await put_policy(books, Policy(company="acme", currency="EUR"))
    await books.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " SELECT 'acme', 'b' || n, 'EUR', 'OPEN', 1, 1000000, 0, 0 FROM generate_series(0, $1 - 1) AS n",
        INVOICES,
    )
    await books.close()
    async with downstream(vhost) as (payments, _), asyncio.TaskGroup() as group:
        for number in range(PAYMENTS):
            body = {"amount": "1.00", "billcode": f"b{number % INVOICES}", "paydate": "2017-10-10"}
            message = aio_pika.Message(json.dumps(body).encode(), message_id=f"k{number}", delivery_mode=2)
            group.create_task(payments.publish(message, "registration.acme"))


@asynccontextmanager
async def worker(database: Database, vhost: Vhost) -> AsyncIterator[App]:
    app = App(
        Settings(
            amqp_url=SecretStr(vhost.amqp_url),
            database_url=SecretStr(database.url),
            http_host="127.0.0.1",
            http_port=0,
            batch_messages=20,
        )
    )
    running = asyncio.create_task(app.run())
    try:
        yield app
    finally:
        app.stop()
        await running


async def ask(database: Database, sql: str) -> Any:
    connection = await asyncpg.connect(database.url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def told(vhost: Vhost) -> list[dict[str, Any]]:
    """Return all events that the ledger has, each as often as it came."""
    events = []
    async with downstream(vhost) as (_, queue):
        while (message := await queue.get(fail=False)) is not None:
            events.append(json.loads(message.body))
            await message.ack()
    return events


@pytest.mark.parametrize("which", ["broker", "database"])
async def test_a_server_away_under_load_costs_nothing_but_time(
    own_servers: Servers, database: Database, vhost: Vhost, which: str
) -> None:
    server: Server = getattr(own_servers, which)
    await fill(database, vhost)

    async def has_begun() -> bool:
        return bool(await ask(database, f"SELECT count(*) >= {TOLD_BEFORE_THE_KILL} FROM payments"))

    async def is_done() -> bool:
        sql = f"SELECT (SELECT count(*) FROM payments) = {PAYMENTS} AND NOT EXISTS (SELECT FROM outbox)"
        return bool(await ask(database, sql))

    async with worker(database, vhost) as first, worker(database, vhost) as second:
        await eventually(has_begun)
        # A broker killed under load may come back with a queue that has no leader, which no client can mend.
        await asyncio.to_thread(server.kill if which == "database" else server.stop)
        await eventually(lambda: waits(first, second))
        await asyncio.to_thread(server.start)
        await eventually(is_done)
        await eventually(lambda: ready(first, second))

    events = await told(vhost)
    assert {event["statusid"] for event in events} == {6}
    assert len({event["idempotency_key"] for event in events}) == PAYMENTS
    assert len({event["event_id"] for event in events}) == PAYMENTS
    assert await ask(database, "SELECT count(*) FROM allocations") == PAYMENTS
    assert await ask(database, "SELECT sum(capital_allocated) FROM invoices") == PAYMENTS * 100


async def waits(*apps: App) -> bool:
    return all(app.waiting_for() for app in apps)


async def ready(*apps: App) -> bool:
    return not any(app.waiting_for() for app in apps)
