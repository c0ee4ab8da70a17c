"""What a relay makes of the rows that its own worker has written, and of those that it finds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

from tests.integration.audited_books import NOW, invoice
from tests.integration.cancelled_books import pay
from tests.site import DEADLINE_S, Site, eventually
from worker.backlog import Backlog
from worker.books.ledger import settle_batch
from worker.books.outbox import Known
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
    """A relay, and a session that books."""

    site: Site
    session: Session
    backlog: Backlog
    relay: Relay
    publisher: Publisher

    async def book(self, *keys: str) -> Known:
        """Book a payment under each key, or have it told again; return its rows in the outbox, not yet noted."""
        requests = [pay(key, ("1234567", "1.00")) for key in keys]
        return (await settle_batch(self.session, requests, {"acme": ACME}, Moment(NOW))).outbox

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

    async def keys(self, count: int) -> list[str]:
        return [event.body["idempotency_key"] for event in await self.site.events(count)]

    async def has_forgotten(self) -> bool:
        return not self.backlog.rows

    async def is_told(self) -> bool:
        return bool(await self.site.database.fetchval("SELECT count(*) = 0 FROM outbox")) and not self.backlog.rows


@pytest.fixture
async def idle(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relaying]:
    """One that has not begun, and will look once for what there is."""
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    async with (
        Session(site.database_url, "books") as session,
        Session(site.database_url, "relays") as relays,
        await connect(site.amqp_url, "test") as connection,
    ):
        await put_invoices(session, [(ACME, invoice("acme", "1234567", "710.00")[1])], NOW)
        backlog = Backlog()
        relay = Relay(relays, Replies(site.amqp_url, "test"), backlog)
        yield Relaying(site, session, backlog, relay, Publisher(connection))


@pytest.fixture
async def relaying(idle: Relaying) -> AsyncIterator[Relaying]:
    """One that has looked, and waits to be told of rows."""
    async with idle.running():
        idle.backlog.note_written(await idle.book("first"))
        assert await idle.keys(1) == ["first"]
        await eventually(idle.is_told)
        yield idle


async def test_what_is_not_kept_is_read_and_told_in_its_order(relaying: Relaying) -> None:
    rows = await relaying.book("a", "first", "b", "c")
    assert [known is None for known in rows.values()] == [False, True, False, False]
    relaying.backlog.note_written({**rows, max(rows): None})
    assert await relaying.keys(4) == ["a", "first", "b", "c"]
    await eventually(relaying.is_told)


async def test_what_does_not_fit_a_window_together_is_told_in_the_next(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.books.outbox.RELAY_WINDOW_BYTES_MAX", 1)
    rows = await relaying.book("a", "b", "c", "d")
    first, *others = rows
    relaying.backlog.note_written({first: rows[first]} | dict.fromkeys(others))
    assert await relaying.keys(4) == ["a", "b", "c", "d"]
    await eventually(relaying.is_told)


async def test_a_row_that_another_relay_has_published_is_not_published_again(relaying: Relaying) -> None:
    rows = await relaying.book("a", "b")
    await relaying.site.database.execute("DELETE FROM outbox WHERE id = $1", min(rows))
    relaying.backlog.note_written(rows)
    assert await relaying.keys(1) == ["b"]
    await eventually(relaying.is_told)
    assert relaying.site.is_quiet()


async def test_a_row_that_another_relay_is_at_is_left_to_it_and_found_where_that_gives_up(relaying: Relaying) -> None:
    rows = await relaying.book("a", "b")
    other = await asyncpg.connect(relaying.site.database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM outbox WHERE id = $1 FOR UPDATE", min(rows))
            relaying.backlog.note_written(rows)
            assert await relaying.keys(1) == ["b"]
    finally:
        await other.close()
    await eventually(relaying.has_forgotten)
    assert relaying.site.is_quiet()
    relaying.backlog.woken.set()
    assert await relaying.keys(1) == ["a"]
    await eventually(relaying.is_told)


async def test_an_id_that_stands_for_another_event_than_the_one_noted_is_read(relaying: Relaying) -> None:
    rows = await relaying.book("a", "b")
    (first, a), (second, b) = rows.items()
    relaying.backlog.note_written({first: b, second: a})
    assert await relaying.keys(2) == ["a", "b"]
    await eventually(relaying.is_told)


async def test_a_row_whose_event_is_gone_holds_up_no_other(idle: Relaying) -> None:
    await idle.site.database.execute("INSERT INTO outbox (event_id, replayed) VALUES (gen_random_uuid(), false)")
    await idle.book("found")
    async with idle.running():
        assert await idle.keys(1) == ["found"]
        idle.backlog.note_written(await idle.book("noted"))
        assert await idle.keys(1) == ["noted"]
        await eventually(idle.has_forgotten)
    assert await idle.site.database.fetchval("SELECT count(*) FROM outbox") == 1


async def test_what_is_noted_does_not_wait_until_all_is_found_that_others_left(
    idle: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("books.outbox", "backlog"):
        monkeypatch.setattr(f"worker.{module}.RELAY_WINDOW_MESSAGES", 1)
    await idle.book("a", "b", "c")
    idle.backlog.note_written(await idle.book("own", "own too"))
    async with idle.running():
        assert await idle.keys(5) == ["a", "own", "b", "own too", "c"]
        await eventually(idle.is_told)


async def test_a_relay_that_ends_tells_what_stands_in_the_outbox_first(relaying: Relaying) -> None:
    await relaying.book("left behind")
    relaying.relay.end()
    assert await relaying.keys(1) == ["left behind"]
