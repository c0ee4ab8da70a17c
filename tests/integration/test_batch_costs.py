"""What a batch and its relaying ask of the database, in what can be counted: statements and round trips."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.faults.proxy import Proxy
from tests.integration.audited_books import NOW, invoice
from tests.integration.cancelled_books import pay
from tests.places import Database
from tests.site import DEADLINE_S, Site, eventually
from tests.statements import NAMES
from worker.backlog import Backlog
from worker.books.companies import KeptPolicies, put_policy
from worker.books.ledger import settle_batch
from worker.books.session import LOOKUPS, Session
from worker.books.statements import put_invoices
from worker.broker.connection import connect
from worker.broker.publisher import Publisher
from worker.broker.replies import Replies
from worker.domain.policy import Policy
from worker.domain.view import Moment
from worker.limits import RELAY_WINDOW_MESSAGES
from worker.relay import Relay

ACME = Policy(company="acme", currency="EUR")
BATCH = ["look_up", "write_batch"]
LOOK = ["BEGIN", "lock_oldest_outbox", "COMMIT"]
READY = ord("Z")
"""The type of the message by which Postgres ends each of its answers."""


class Counted:
    """Notes the statements of a session by way of a proxy, and counts the answers of the server."""

    def __init__(self) -> None:
        self._statements: list[str] = []
        self._round_trips = 0
        self._answers = bytearray()

    @asynccontextmanager
    async def session(self, database_url: str) -> AsyncIterator[Session]:
        async with Proxy(f"{database_url}?sslmode=disable") as proxy:
            proxy.on_answer = self._answer
            async with Session(proxy.url, "test", settings=LOOKUPS) as session:
                async with session.connection() as connection:
                    connection.add_query_logger(self._note)
                yield session

    async def taken(self) -> tuple[list[str], int]:
        """Return what has been counted since this was asked last."""
        has_told = asyncio.Event()
        asyncio.get_running_loop().call_soon(has_told.set)  # after what the driver is about to tell of statements
        await asyncio.wait_for(has_told.wait(), DEADLINE_S)
        counted = self._statements, self._round_trips
        self._statements, self._round_trips = [], 0
        return counted

    def _note(self, record: asyncpg.connection.LoggedQuery) -> None:
        self._statements.append(NAMES.get(record.query, record.query.partition(" ")[0].rstrip(";")))

    def _answer(self, data: bytes) -> None:
        """Count the messages that end an answer; each has its type in one byte and then its length in four."""
        self._answers += data
        while len(self._answers) >= 5:
            end = 1 + int.from_bytes(self._answers[1:5])
            if len(self._answers) < end:
                break
            self._round_trips += self._answers[0] == READY
            del self._answers[:end]


@pytest.mark.parametrize("messages", [1, 2, 250])
async def test_a_batch_of_any_size_takes_four_round_trips(database: Database, messages: int) -> None:
    counted = Counted()
    async with counted.session(database.url) as session:
        async with session.connection() as connection:
            await put_policy(connection, ACME)
        puts = [invoice("acme", f"b{n}", "10.00") for n in range(messages)]
        await put_invoices(session, [(ACME, put) for _, put in puts], NOW)

        async def settle(batch: str) -> None:
            requests = [pay(f"{batch} {n}", (f"b{n}", "1.00")) for n in range(messages)]
            await settle_batch(session, requests, {"acme": ACME}, Moment(NOW))

        await settle("prepares the statements")
        await counted.taken()
        await settle("counts")
        assert await counted.taken() == (["BEGIN", *BATCH, "COMMIT"], 4)


async def test_policies_that_are_kept_take_no_round_trip(database: Database) -> None:
    counted, kept = Counted(), KeptPolicies()
    async with counted.session(database.url) as session, session.connection() as connection:
        await put_policy(connection, ACME)
        for companies, asked in (({"acme"}, 1), ({"acme"}, 0), ({"acme", "nobody"}, 1), ({"acme", "nobody"}, 1)):
            await counted.taken()
            assert (await kept.read(connection, companies)).keys() == {"acme"}
            statements, _ = await counted.taken()
            assert statements == ["policies"] * asked


async def test_a_window_of_what_others_wrote_takes_five_round_trips(site: Site) -> None:
    counted = Counted()
    async with counted.session(site.database_url) as session, await connect(site.amqp_url, "test") as connection:
        await put_invoices(session, [(ACME, invoice("acme", "1234567", "710.00")[1])], NOW)
        for batch in ("prepares the statements", "counts"):
            requests = [pay(f"{batch} {n}", ("1234567", "1.00")) for n in range(RELAY_WINDOW_MESSAGES)]
            await settle_batch(session, requests, {"acme": ACME}, Moment(NOW))
            await counted.taken()
            relay = Relay(session, Replies(site.amqp_url, "test"), Backlog())
            relay.end()
            await relay.run(Publisher(connection))
        window = ["claim_outbox", "BEGIN", "lock_oldest_outbox", "read_outbox", "delete_outbox", "COMMIT"]
        assert await counted.taken() == (window + LOOK, 9)
    events = await site.events(2 * RELAY_WINDOW_MESSAGES)
    assert len({event.message.message_id for event in events}) == 2 * RELAY_WINDOW_MESSAGES


async def test_a_window_of_what_its_own_worker_wrote_takes_a_relay_one_round_trip(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.relay.RELAY_POLL_S", 3600.0)
    counted = Counted()
    async with (
        counted.session(site.database_url) as session,
        counted.session(site.database_url) as relaying,
        await connect(site.amqp_url, "test") as connection,
    ):
        await put_invoices(session, [(ACME, invoice("acme", "1234567", "710.00")[1])], NOW)
        backlog = Backlog()
        relay = Relay(relaying, Replies(site.amqp_url, "test"), backlog)
        running = asyncio.create_task(relay.run(Publisher(connection)))
        for key in ("prepares the statements", "counts"):
            await eventually(lambda: is_told(site, backlog))
            relay_number, payment = backlog.relay, pay(key, ("1234567", "1.00"))
            committed = await settle_batch(session, [payment], {"acme": ACME}, Moment(NOW), relay=relay_number)
            await counted.taken()
            backlog.note_written(committed.outbox, relay_number)
            await site.events(1)
        await eventually(lambda: is_told(site, backlog))
        relay.end()
        await asyncio.wait_for(running, DEADLINE_S)
        assert await counted.taken() == (["delete_outbox", *LOOK], 4), "the look is that of a relay that ends"


async def is_told(site: Site, backlog: Backlog) -> bool:
    is_empty = await site.database.fetchval("SELECT count(*) = 0 FROM outbox")
    return is_empty and backlog.relay is not None and not backlog.rows
