"""A site: a database and a vhost that belong together, set up, with two companies; and who works there."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from pydantic import SecretStr

from schemas import catalog
from tests.places import Database, Vhost
from worker.app import App
from worker.books.companies import put_policy
from worker.broker.topology import declare
from worker.domain.policy import Policy
from worker.settings import Settings

DEADLINE_S = 60.0
"""How long a test waits for an event before it fails. Far more than a healthy run takes."""
WAITS_FOR_A_LOCK = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
LOOK_S = 0.02

ROPO = {"amount": "710.00", "billcode": "1234567", "paydate": "2017-10-10"}
"""A Ropo payment of the invoice that `Site.invoice()` puts."""


@dataclass
class Event:
    """An outcome as a downstream gets it."""

    message: AbstractIncomingMessage
    body: dict[str, Any]

    @property
    def replayed(self) -> bool:
        return bool(self.message.headers["replayed"])


@dataclass
class Site:
    """What a test does from outside, as upstream, downstream and ops."""

    database_url: str
    amqp_url: str
    channel: AbstractChannel
    outcomes: AbstractQueue
    database: asyncpg.Connection
    connection: AbstractConnection
    _arrived: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    async def publish(
        self, topic: str, body: object, *, key: str | None = None, company: str = "acme", **properties: Any
    ) -> None:
        payments = await self.channel.get_exchange(catalog.PAYMENTS, ensure=False)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = aio_pika.Message(data, message_id=key, **properties)
        await payments.publish(message, f"{topic}.{company}")

    async def pay(self, body: object = None, *, key: str | None, company: str = "acme", **properties: Any) -> None:
        """Publish a Ropo payment: of the invoice's whole capital unless the body says otherwise."""
        if isinstance(body, dict | None):
            body = ROPO | (body or {})
        await self.publish("registration", body, key=key, company=company, **properties)

    async def put(self, company: str = "acme", **fields: Any) -> None:
        """Publish an invoice and wait until it is in the books."""
        put = {"billcode": "1234567", "capital": "710.00", "version": 1} | fields
        await self.publish("invoice", put, company=company, type=catalog.INVOICE_PUT)

        async def is_stated() -> bool:
            sql = "SELECT version >= $2 FROM invoices WHERE billcode = $1 AND company = $3"
            return bool(await self.database.fetchval(sql, put["billcode"], put["version"], company))

        await eventually(is_stated)

    async def declare(self) -> None:
        await declare(self.connection)

    async def policy(self, company: str = "acme", **rules: Any) -> None:
        await put_policy(self.database, Policy(**{"company": company, "currency": "EUR"} | rules))

    async def next_event(self) -> Event:
        """Return the next outcome that the downstream queue gets."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._arrived.get()

    def is_quiet(self) -> bool:
        """Say that nothing more has come than was taken."""
        return self._arrived.empty()

    async def event_of(self, key: str) -> Event:
        """Return the next outcome of that key; those of others are passed over."""
        while (event := await self.next_event()).body["idempotency_key"] != key:
            pass
        return event

    async def events(self, count: int) -> list[Event]:
        return [await self.next_event() for _ in range(count)]

    async def dead_letters(self, count: int) -> list[asyncpg.Record]:
        """Return the dead letters, once so many have been filed."""

        async def are_filed() -> bool:
            return bool(await self.database.fetchval("SELECT count(*) >= $1 FROM dead_letters", count))

        await eventually(are_filed)
        return list(await self.database.fetch("SELECT * FROM dead_letters ORDER BY id"))

    async def queue_is_empty(self, name: str) -> bool:
        return await self.holds(name, 0)

    async def holds(self, name: str, messages: int) -> bool:
        """Say whether so many wait in the queue. One that does not answer RabbitMQ in time seems to be empty."""
        queue = await self.channel.declare_queue(name, passive=True)
        return queue.declaration_result.message_count == messages

    async def has_delivered_all(self, name: str) -> bool:
        """Say whether a queue that is consumed from has handed out all of it."""
        said = (await self.channel.declare_queue(name, passive=True)).declaration_result
        return said.message_count == 0 and bool(said.consumer_count)

    async def on_outcome(self, message: AbstractIncomingMessage) -> None:
        await message.ack()
        await self._arrived.put(Event(message, json.loads(message.body)))

    def settings(self, **changes: Any) -> Settings:
        return Settings(
            **{
                "amqp_url": SecretStr(self.amqp_url),
                "database_url": SecretStr(self.database_url),
                "http_host": "127.0.0.1",
                "http_port": 0,
            }
            | changes
        )

    def worker(self, **changes: Any) -> AbstractAsyncContextManager[App]:
        """Run a worker of the site, with these changes of its settings, while the block runs."""
        return running(App(self.settings(**changes)))


@asynccontextmanager
async def running(app: App) -> AsyncIterator[App]:
    """Run a worker inside this process; it is stopped as by SIGTERM at the end."""
    task = asyncio.create_task(app.run())
    try:
        yield app
    finally:
        app.stop()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def is_ready(*apps: App) -> bool:
    return not any(app.waiting_for() for app in apps)


async def is_not_ready(*apps: App) -> bool:
    """Say that each of them waits for something."""
    return all(app.waiting_for() for app in apps)


async def is_waiting(app: App) -> bool:
    """Say that it holds what it has for a server that is away, and lacks nothing else."""
    return app.waiting_for() == ["a server that is away"]


async def eventually(
    check: Callable[[], Awaitable[bool]], *, within_s: float = DEADLINE_S, every_s: float = LOOK_S
) -> None:
    """Wait until the check holds: for states of a server that announces nothing. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110 (the one place that asks again and again)
            await asyncio.sleep(every_s)


@asynccontextmanager
async def open_site(database: Database, vhost: Vhost) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(await aio_pika.connect(vhost.amqp_url))
        await declare(connection)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        outcomes = await channel.declare_queue(exclusive=True)
        await outcomes.bind(catalog.OUTCOMES, "#")
        books = await asyncpg.connect(database.url)
        stack.push_async_callback(books.close)
        site = Site(database.url, vhost.amqp_url, channel, outcomes, books, connection)
        await outcomes.consume(site.on_outcome)
        for company in ("acme", "other"):
            await site.policy(company)
        yield site
