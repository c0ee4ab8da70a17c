"""Outcomes that are on their way: while the broker is slow to confirm, or Postgres to let go of a row."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractQueue
from pamqp.commands import Basic
from pamqp.common import FieldTable

from schemas.catalog import OUTCOMES, outcome_key
from schemas.outcome import Status
from tests.faults.proxy import Proxy
from tests.integration.relaying import Relaying, open_relaying
from tests.site import DEADLINE_S, Site, eventually, is_not_ready
from worker.books.outbox import Taken, delete_outbox, take_oldest
from worker.broker.connection import connect
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.domain.errors import LinkLostError, UnavailableError
from worker.limits import RECONNECT_DELAY_MAX_S
from worker.outage import Backoff


@pytest.fixture
async def proxy(site: Site) -> AsyncIterator[Proxy]:
    """Between the relay and RabbitMQ."""
    async with Proxy(site.amqp_url) as proxy:
        yield proxy
        proxy.heal()


@pytest.fixture
async def relaying(site: Site, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relaying]:
    """One that waits to be told of rows."""
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    async with open_relaying(site, proxy.url) as relaying, relaying.waiting():
        yield relaying
        proxy.heal()


async def waits(relaying: Relaying) -> bool:
    return relaying.relay.is_waiting


async def begin(relaying: Relaying, *keys: str) -> None:
    """Have outcomes told one by one."""
    for key in keys:
        relaying.note(await relaying.book_own(key))
        assert await relaying.keys(1) == [key]


async def begin_and_hold(relaying: Relaying, proxy: Proxy, first: str, *others: str) -> None:
    """Have outcomes told one by one, all of whose answers are held, that to the first by itself."""
    proxy.hold_answers()
    await begin(relaying, first)
    await asyncio.wait_for(proxy.holds.wait(), DEADLINE_S)
    await begin(relaying, *others)


async def test_what_is_booked_next_is_told_before_what_came_before_is_confirmed(
    relaying: Relaying, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Taken] = []

    async def note_look(*look: Any) -> Taken:
        looks.append(await take_oldest(*look))
        return looks[-1]

    monkeypatch.setattr("worker.relay.take_oldest", note_look)
    await begin_and_hold(relaying, proxy, "a", "b", "c")
    assert await relaying.rows_left() == 3
    proxy.hand_on()
    await eventually(lambda: has_left(relaying, 2))
    proxy.heal()
    await eventually(relaying.is_told)
    assert relaying.site.is_quiet()
    assert looks == [], "it knows that there is nothing to find"


async def has_left(relaying: Relaying, rows: int) -> bool:
    return await relaying.rows_left() == rows


async def test_what_is_confirmed_makes_room_for_the_next_at_once(
    relaying: Relaying, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.backlog.RELAY_WINDOW_MESSAGES", 2)
    await begin_and_hold(relaying, proxy, "a", "b")
    relaying.note(await relaying.book_own("c"))
    assert await relaying.tells_no_more()
    proxy.hand_on()
    assert await relaying.keys(1) == ["c"]


@pytest.fixture
async def patient(site: Site, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relaying]:
    """One that does not delete what is confirmed until it has a reason to."""
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    async with open_relaying(site, proxy.url) as relaying, relaying.waiting():
        put_off_deletions(monkeypatch)
        yield relaying


def put_off_deletions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing deleted merely because it has been confirmed for some time."""
    for module in ("relay", "flight"):
        monkeypatch.setattr(f"worker.{module}.RELAY_DELETE_DELAY_S", 3600.0)


async def test_what_is_confirmed_is_deleted_together_with_more_and_not_told_again(
    patient: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[list[int]] = []

    async def note_deleted(connection: Any, rows: Any) -> None:
        deleted.append([row_id for row_id, _ in rows])
        await delete_outbox(connection, rows)

    monkeypatch.setattr("worker.relay.delete_outbox", note_deleted)
    await begin(patient, "a", "b", "c")
    assert await patient.tells_no_more()
    assert (await patient.rows_left(), deleted) == (3, [])
    patient.backlog.note_written(await patient.book("nobody's"), None)
    assert await patient.keys(1) == ["nobody's"]
    await eventually(patient.is_told)
    assert [len(ids) for ids in deleted] == [3, 1], "before it looks, which would find them"
    assert patient.site.is_quiet()


async def test_what_is_confirmed_when_the_relay_is_stopped_is_deleted_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    async with open_relaying(site, site.amqp_url) as relaying:
        running = asyncio.create_task(relaying.relay.run(relaying.publisher))
        await eventually(relaying.has_number)
        await begin(relaying, "first")
        await eventually(relaying.is_told)
        put_off_deletions(monkeypatch)
        confirmed = confirming(monkeypatch)
        await begin(relaying, "a")
        await asyncio.wait_for(confirmed.wait(), DEADLINE_S)
        running.cancel()
        await asyncio.wait([running])
        assert await relaying.rows_left() == 1
        await relaying.relay.clear()
        assert await relaying.is_told()


def confirming(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return what is set once an outcome has been confirmed."""
    confirmed = asyncio.Event()
    monkeypatch.setattr("worker.relay.PUBLISHED.inc", lambda _: confirmed.set())
    return confirmed


async def test_what_is_confirmed_when_rabbitmq_goes_is_deleted_without_it(
    site: Site, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    outbox_is_empty = "SELECT count(*) = 0 FROM outbox"
    async with site.worker(amqp_url=proxy.url) as app:
        await site.pay(key="first")
        await site.event_of("first")
        await eventually(lambda: site.database.fetchval(outbox_is_empty))
        put_off_deletions(monkeypatch)
        confirmed = confirming(monkeypatch)
        await site.pay(key="a")
        await site.event_of("a")
        await asyncio.wait_for(confirmed.wait(), DEADLINE_S)
        assert not await site.database.fetchval(outbox_is_empty)
        proxy.stall()
        proxy.cut()
        await eventually(lambda: site.database.fetchval(outbox_is_empty))
        await eventually(lambda: is_not_ready(app))  # a connection made meanwhile is silent
        assert await site.database.fetchval(outbox_is_empty)
        proxy.heal()


async def test_what_is_confirmed_gives_way_where_the_next_has_no_room(
    patient: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.backlog.RELAY_WINDOW_MESSAGES", 2)
    await begin(patient, "a", "b", "c")
    assert await patient.rows_left() < 3


async def test_what_is_on_its_way_is_not_found_by_a_look(relaying: Relaying, proxy: Proxy) -> None:
    proxy.hold_answers()
    await begin(relaying, "a")
    relaying.backlog.note_written(await relaying.book("nobody's"), None)
    assert await relaying.tells_no_more()
    proxy.heal()
    assert await relaying.keys(1) == ["nobody's"]
    await eventually(relaying.is_told)
    assert relaying.site.is_quiet()


@pytest.mark.parametrize("limit", ["messages", "bytes"])
async def test_no_more_is_under_way_than_one_window_may_be(
    relaying: Relaying, proxy: Proxy, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [await relaying.book_own(key) for key in ("a", "b", "c")]
    if limit == "messages":
        monkeypatch.setattr("worker.backlog.RELAY_WINDOW_MESSAGES", 2)
    else:
        lengths = [len(row.body) for batch in rows for row in batch.values() if hasattr(row, "body")]
        monkeypatch.setattr("worker.flight.PUBLISH_WINDOW_BYTES_MAX", sum(lengths) - 1)
    proxy.hold_answers()
    for batch, key in zip(rows[:2], ("a", "b"), strict=True):
        relaying.note(batch)
        assert await relaying.keys(1) == [key]
    relaying.note(rows[2])
    assert await relaying.tells_no_more()
    proxy.heal()
    assert await relaying.keys(1) == ["c"]
    await eventually(relaying.is_told)
    assert relaying.site.is_quiet()


async def test_what_a_queue_refuses_is_no_longer_the_relay_s_own_and_waits_to_be_found(relaying: Relaying) -> None:
    site = relaying.site
    queue = await fill(site)
    await queue.bind(OUTCOMES, outcome_key("acme", Status.OHISPAY.name))
    await begin(relaying, "a")
    await eventually(lambda: site.database.fetchval("SELECT count(*) = 1 FROM outbox WHERE relay IS NULL"))
    await eventually(relaying.has_forgotten)
    assert await relaying.tells_no_more()


async def test_while_nothing_is_taken_it_waits_longer_and_longer(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That something could be sent does not mean yet that the server takes it."""
    delays_s: list[float] = []
    next_delay_s = Backoff.next_delay_s

    def note_delay(backoff: Backoff) -> float:
        delays_s.append(next_delay_s(backoff))
        return 0.0

    monkeypatch.setattr(Backoff, "next_delay_s", note_delay)
    await relaying.site.channel.exchange_delete(OUTCOMES)
    relaying.note(await relaying.book_own("a"))

    async def has_waited_long() -> bool:
        return bool(delays_s) and delays_s[-1] > RECONNECT_DELAY_MAX_S / 2

    await eventually(has_waited_long)
    assert relaying.relay.is_waiting
    await relaying.site.declare()
    await eventually(relaying.is_told)
    assert not relaying.relay.is_waiting


@pytest.mark.parametrize("books", ["stay", "come back"])
async def test_what_is_confirmed_and_cannot_be_deleted_yet_is_not_told_again(relaying: Relaying, books: str) -> None:
    rows = await relaying.book_own("a", "b")
    other = await asyncpg.connect(relaying.site.database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM outbox FOR UPDATE")
            relaying.note(rows)
            assert await relaying.keys(2) == ["a", "b"]
            await eventually(lambda: waits(relaying))
            if books == "come back":
                await relaying.relays.close()
    finally:
        await other.close()
    relaying.look()
    await eventually(relaying.is_told)
    assert relaying.site.is_quiet()


async def test_what_was_on_its_way_when_the_connection_ended_is_told_again_in_its_order(
    site: Site, proxy: Proxy
) -> None:
    """Nobody knows which of it the broker had."""
    async with open_relaying(site, proxy.url) as relaying:
        running = asyncio.create_task(relaying.relay.run(relaying.publisher))
        await eventually(relaying.has_number)
        await begin(relaying, "first")
        await eventually(relaying.is_told)
        proxy.hold_answers()
        await begin(relaying, "a", "b")
        proxy.cut()
        with pytest.raises(LinkLostError):
            await asyncio.wait_for(running, DEADLINE_S)
        assert await relaying.rows_left() == 2
        proxy.heal()
        async with await connect(proxy.url, "again") as connection:
            relaying.publisher = Publisher(connection)
            async with relaying.running():
                assert await relaying.keys(2) == ["a", "b"]
                await eventually(relaying.is_told)


async def test_a_channel_given_up_after_a_refusal_is_closed_when_all_on_it_is_answered(
    site: Site, proxy: Proxy
) -> None:
    await fill(site)
    await site.channel.declare_queue("open", durable=True)
    to_full, to_open = (Publication("", name, b"", Basic.Properties(delivery_mode=2)) for name in ("full", "open"))
    async with await connect(proxy.url, "test") as connection:
        publisher = Publisher(connection)
        assert await publisher.publish([to_open]) == [True]
        proxy.hold_answers()
        refused = asyncio.create_task(publisher.publish_each([to_full]))
        await asyncio.wait_for(proxy.holds.wait(), DEADLINE_S)
        taken = asyncio.create_task(publisher.publish_each([to_open]))
        await eventually(lambda: site.holds("open", 2))
        proxy.hand_on()
        (answer,) = await asyncio.wait_for(refused, DEADLINE_S)
        assert isinstance(answer, UnavailableError)
        proxy.heal()
        assert await taken == [True]
        assert await publisher.publish([to_open]) == [True]
        assert connection.transport is not None
        open_channels = getattr(connection.transport.connection, "channels")  # noqa: B009 (the driver's own)
        assert len([number for number, channel in open_channels.items() if number and channel is not None]) == 1


async def fill(site: Site) -> AbstractQueue:
    """Return the queue "full", which takes no more."""
    arguments: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await site.channel.declare_queue("full", durable=True, arguments=arguments)
    await site.channel.default_exchange.publish(aio_pika.Message(b"no room"), "full")
    return queue
