"""A relay alone: with what books for it, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika

from schemas.catalog import OUTCOMES
from tests.integration.audited_books import NOW, invoice
from tests.integration.cancelled_books import pay
from tests.site import DEADLINE_S, Site, eventually
from worker.backlog import Backlog
from worker.books.ledger import settle_batch
from worker.books.outbox import RELAY_LOCK, Written
from worker.books.session import Session
from worker.books.statements import put_invoices
from worker.broker.connection import connect
from worker.broker.publisher import Publisher
from worker.broker.replies import Replies
from worker.domain.policy import Policy
from worker.domain.view import Moment
from worker.relay import Relay

ACME = Policy(company="acme", currency="EUR")


@dataclass
class Relaying:
    """A relay with its session, and a session that books."""

    site: Site
    session: Session
    relays: Session
    backlog: Backlog
    relay: Relay
    publisher: Publisher

    async def book(self, *keys: str, relay: int | None = None) -> Written:
        """Book a payment under each key, or have it told again; return its rows in the outbox, not yet noted."""
        requests = [pay(key, ("1234567", "1.00")) for key in keys]
        return (await settle_batch(self.session, requests, {"acme": ACME}, Moment(NOW), relay=relay)).outbox

    async def book_own(self, *keys: str) -> Written:
        """Do so under the relay's number."""
        assert self.backlog.relay is not None
        return await self.book(*keys, relay=self.backlog.relay)

    def note(self, rows: Written) -> None:
        self.backlog.note_written(rows, self.backlog.relay)

    def look(self) -> None:
        """Have it look for what there is, now that it has nothing else to do."""
        self.backlog.woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the relay while the block runs, and let it end in order."""
        running = asyncio.create_task(self.relay.run(self.publisher))
        try:
            yield
            self.relay.end()
            await asyncio.wait_for(running, DEADLINE_S)
        finally:
            running.cancel()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Run it while the block runs, once it has looked, and waits to be told of rows."""
        async with self.running():
            await eventually(self.has_number)
            self.note(await self.book_own("first"))
            assert await self.keys(1) == ["first"]
            await eventually(self.is_told)
            yield

    async def keys(self, count: int) -> list[str]:
        return [event.body["idempotency_key"] for event in await self.site.events(count)]

    async def tells_no_more(self) -> bool:
        """Say that nothing has come, given more time than a relay needs that has something to tell."""
        for _ in range(50):
            await self.rows_left()
        outcomes = await self.site.channel.get_exchange(OUTCOMES, ensure=False)
        await outcomes.publish(aio_pika.Message(b'{"idempotency_key": "mark"}'), "outcome.acme.mark")
        return await self.keys(1) == ["mark"]

    async def rows_left(self) -> int:
        return int(await self.site.database.fetchval("SELECT count(*) FROM outbox"))

    async def has_number(self) -> bool:
        return self.backlog.relay is not None

    async def is_alone(self) -> bool:
        """Say whether no other relay's number is locked."""
        sql = "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = $1"
        return bool(await self.site.database.fetchval(sql, RELAY_LOCK))

    async def has_forgotten(self) -> bool:
        return not self.backlog.rows and not self.backlog.left

    async def is_told(self) -> bool:
        return await self.rows_left() == 0 and await self.has_forgotten()


@asynccontextmanager
async def open_relaying(site: Site, amqp_url: str) -> AsyncIterator[Relaying]:
    """Give the block a relay that has not begun, and reaches RabbitMQ by that URL."""
    async with (
        Session(site.database_url, "books") as session,
        Session(site.database_url, "relays") as relays,
        await connect(amqp_url, "test") as connection,
    ):
        await put_invoices(session, [(ACME, invoice("acme", "1234567", "710.00")[1])], NOW)
        backlog = Backlog()
        relay = Relay(relays, Replies(amqp_url, "test"), backlog)
        yield Relaying(site, session, relays, backlog, relay, Publisher(connection))
