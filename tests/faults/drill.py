"""What a drill of a server runs with: an upstream that publishes until all is confirmed, workers, a ledger's queue."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import aio_pika
import aiormq
import asyncpg
from aio_pika.abc import AbstractExchange
from pydantic import SecretStr

from schemas import catalog
from tests.faults.payments import INVOICES, PAYMENT_CENTS
from tests.places import Database
from tests.site import DEADLINE_S, eventually, running
from worker.app import App
from worker.books.audit import audit
from worker.books.companies import put_policy
from worker.books.session import Session
from worker.broker.topology import declare
from worker.domain.policy import Policy
from worker.settings import Settings

LEDGER = "ledger"
CAPITAL_CENTS = 1_000_000
WINDOW_MESSAGES = 50
CONFIRM_TIMEOUT_S = 10.0
AWAY_PAUSE_S = 0.1
AWAY = (aiormq.AMQPError, aiormq.exceptions.ChannelInvalidStateError, OSError, TimeoutError)


async def set_up(database: Database, amqp_url: str) -> None:
    """Have the topology, the ledger's queue, a company and its invoices."""
    async with await aio_pika.connect(amqp_url) as connection:
        await declare(connection)
        channel = await connection.channel()
        queue = await channel.declare_queue(LEDGER, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(catalog.OUTCOMES, "#")
    books = await asyncpg.connect(database.url)
    await put_policy(books, Policy(company="acme", currency="EUR"))
    await books.execute(
        "INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)"
        " SELECT 'acme', 'b' || n, 'EUR', 'OPEN', 1, $2, 0, 0 FROM generate_series(0, $1 - 1) AS n",
        INVOICES,
        CAPITAL_CENTS,
    )
    await books.close()


class Upstream:
    """Publishes payments and awaits their confirms; what was not confirmed it publishes again, at the next URL."""

    def __init__(self, amqp_urls: Iterable[str]) -> None:
        self._urls = itertools.cycle(amqp_urls)
        self.asked = 0

    async def pay(self, count: int) -> None:
        """Publish so many more payments, under keys of their own, until each is confirmed."""
        unconfirmed = set(range(self.asked, self.asked + count))
        self.asked += count
        while unconfirmed:
            with contextlib.suppress(*AWAY):
                connection = await aio_pika.connect(next(self._urls), timeout=CONFIRM_TIMEOUT_S)
                try:
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    payments = await channel.get_exchange(catalog.PAYMENTS, ensure=False)
                    while unconfirmed:
                        await _publish_window(payments, unconfirmed)
                finally:
                    with contextlib.suppress(*AWAY, asyncio.CancelledError):
                        await asyncio.wait_for(connection.close(), CONFIRM_TIMEOUT_S)
            if unconfirmed:
                await asyncio.sleep(AWAY_PAUSE_S)


async def _publish_window(payments: AbstractExchange, unconfirmed: set[int]) -> None:
    """Publish some, and take out what was confirmed. Raises TimeoutError where not all of them were."""
    window = sorted(unconfirmed)[:WINDOW_MESSAGES]
    answers = await asyncio.gather(*(_pay(payments, number) for number in window), return_exceptions=True)
    unconfirmed -= {number for number, answer in zip(window, answers, strict=True) if answer is None}
    if any(answers):
        raise TimeoutError("not all was confirmed")


async def _pay(payments: AbstractExchange, number: int) -> None:
    body = {"amount": "1.00", "billcode": f"b{number % INVOICES}", "paydate": "2017-10-10"}
    message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=2, headers={"idempotency-key": f"k{number}"})
    await payments.publish(message, "registration.acme", timeout=CONFIRM_TIMEOUT_S)


def worker(database: Database, amqp_url: str) -> AbstractAsyncContextManager[App]:
    """Run a worker in this process, with batches so small that a blow meets one of many."""
    settings = Settings(
        amqp_url=SecretStr(amqp_url),
        database_url=SecretStr(database.url),
        http_host="127.0.0.1",
        http_port=0,
        batch_messages=20,
        prefetch_messages=100,
    )
    return running(App(settings))


async def ask(database: Database, sql: str, *arguments: object) -> Any:
    """Return the one value of a query, asked on a connection for just this, since the server may go away."""
    connection = await asyncpg.connect(database.url)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


async def booked(database: Database) -> int:
    return int(await ask(database, "SELECT count(*) FROM payments"))


async def has_booked(database: Database, count: int) -> bool:
    return await booked(database) >= count


async def until_all_is_told(database: Database, count: int) -> None:
    """Wait until so many are booked and nothing waits to be published, for as long as there is any progress.

    What was in flight at two kills is taken alone, so the last of them may take their time.
    """
    before = None
    while (now := await progress(database)) != (count, 0):
        if now == before:
            raise AssertionError(f"{now[0]} of {count} booked, {now[1]} outcomes in the outbox, and nothing goes on")
        before = now
        with contextlib.suppress(TimeoutError):
            await eventually(partial(has_moved_on, database, now))


async def progress(database: Database) -> tuple[int, int]:
    """Return how many payments are booked and how many outcomes wait to be published."""
    return await booked(database), int(await ask(database, "SELECT count(*) FROM outbox"))


async def has_moved_on(database: Database, before: tuple[int, int]) -> bool:
    return await progress(database) != before


async def events_told(amqp_url: str, events_min: int) -> list[dict[str, Any]]:
    """Return all events that the ledger's queue holds, each as often as it came, once there are so many."""
    events: list[dict[str, Any]] = []
    async with await aio_pika.connect(amqp_url) as connection, asyncio.timeout(DEADLINE_S):
        channel = await connection.channel()
        count = 0

        async def are_there() -> bool:
            nonlocal count
            count = (await channel.declare_queue(LEDGER, passive=True)).declaration_result.message_count or 0
            return count >= events_min

        # A queue that does not answer RabbitMQ in time seems to be empty; what is lost is told by whoever counts.
        with contextlib.suppress(TimeoutError):
            await eventually(are_there, within_s=DEADLINE_S / 2)
        queue = await channel.get_queue(LEDGER, ensure=False)
        async with queue.iterator(no_ack=True) as messages:
            while len(events) < count:
                events.append(json.loads((await anext(messages)).body))
    return events


async def assert_nothing_lost_or_doubled(database: Database, amqp_url: str, payments: int) -> None:
    """Each key was told at least once and always by the same event; the books hold each once and add up."""
    events = await events_told(amqp_url, payments)
    assert {event["statusid"] for event in events} == {6}
    assert {event["idempotency_key"] for event in events} == {f"k{number}" for number in range(payments)}
    assert len({event["event_id"] for event in events}) == payments
    assert await booked(database) == payments
    assert await ask(database, "SELECT count(*) FROM allocations") == payments
    assert await ask(database, "SELECT sum(capital_allocated) FROM invoices") == payments * PAYMENT_CENTS
    assert await ask(database, "SELECT count(*) FROM dead_letters") == 0
    async with Session(database.url, "drill") as session:
        assert (await audit(session)).findings == []
