"""The plans of batches and of the relay, those of constraints and triggers too: by index, in books of any size."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from tests.integration.audited_books import NOW
from tests.integration.cancelled_books import pay
from tests.integration.filled_books import FILL, nodes
from tests.places import Database
from worker.books.companies import put_policy
from worker.books.ledger import settle_batch
from worker.books.outbox import claim_outbox, delete_outbox, take_oldest, take_own
from worker.books.pending import take_pending
from worker.books.session import LOOKUPS, Session
from worker.books.sql import query
from worker.domain.policy import DuplicateCheck, Policy
from worker.domain.view import Moment

ACME = Policy(company="acme", currency="EUR", duplicates=DuplicateCheck.FLAG)
GROWING = {"payments", "allocations", "outcomes", "outbox", "invoices", "pending"}
EXPLAINED = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_level = notice;
SET auto_explain.log_format = json;
"""
INVOICES = """
INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)
    SELECT 'acme', 'filled-' || n, 'EUR', 'OPEN', 1, 1000, 0, 0 FROM generate_series(1, 10) n
"""
Node = tuple[str, str]
"""Of a plan: its type and the table that it reads."""


class Explained:
    """A lane's session that notes the plan of each statement of it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.nodes: set[Node] = set()

    async def work(self, first: int, messages: int) -> set[Node]:
        """Book payments of invoices, relay their outcomes, look for undone ones; return the parts of the plans."""
        self.nodes.clear()
        payments = [pay(f"key-{n}", (f"filled-{n}", "1.00")) for n in range(first, first + messages)]
        committed = await settle_batch(self.session, payments, {"acme": ACME}, Moment(NOW))
        async with self.session.transaction() as connection:
            assert (await take_oldest(connection, await claim_outbox(connection), {})).rows
            taken = await take_own(connection, dict.fromkeys(committed.outbox))
            assert len(taken.rows) == messages
            await delete_outbox(connection, taken.rows)
            await take_pending(connection, NOW, messages)
        return set(self.nodes)

    def note(self, _: object, said: asyncpg.PostgresLogMessage) -> None:
        text = said.message or ""
        if "plan:" in text:
            plan = json.loads(text[text.index("{") :])
            self.nodes.update((node["Node Type"], node["Relation Name"]) for node in tables(plan["Plan"]))


def tables(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (node for node in nodes(plan) if "Relation Name" in node and not node["Node Type"].startswith("Modify"))


@pytest.fixture
async def explained(database: Database) -> AsyncIterator[Explained]:
    async with Session(database.url, "test", settings=LOOKUPS) as session:
        explained = Explained(session)
        async with session.connection() as connection:
            await put_policy(connection, ACME)
            await connection.execute(EXPLAINED)
            connection.add_log_listener(explained.note)
        yield explained


def scanned(found: set[Node]) -> set[Node]:
    return {(kind, table) for kind, table in found if kind == "Seq Scan" and table in GROWING}


async def test_filled_books_are_read_by_index(explained: Explained) -> None:
    async with explained.session.connection() as connection:
        await connection.execute(FILL)
    found = await explained.work(1, 250)
    assert scanned(found) == set()
    assert {table for _, table in found} >= GROWING


async def test_plans_that_were_made_while_the_books_were_empty_still_read_by_index(
    explained: Explained, database: Database
) -> None:
    """Where statistics say that a table is empty, to read all of it is the cheapest; and such a plan is kept."""
    other = await asyncpg.connect(database.url)
    try:
        await other.execute(INVOICES)
        await other.execute("ANALYZE")
        for n in range(1, 11):
            found = await explained.work(n, 1)
    finally:
        await other.close()
    assert scanned(found) == set()
    assert {table for _, table in found} >= GROWING - {"pending"}


@pytest.mark.parametrize("messages", [1, 50])
async def test_the_largest_statement_that_is_read_with_is_not_planned_for_each_batch(
    explained: Explained, messages: int
) -> None:
    async with explained.session.connection() as connection:
        await connection.execute(INVOICES)
    for n in range(10):
        await explained.work(1 + n * messages, messages)
    async with explained.session.connection() as connection:
        plans = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1"
        row = await connection.fetchrow(plans, query("look_up"))
    assert row is not None
    assert tuple(row) == (5, 5), "five that Postgres compares with"


async def test_its_plan_is_as_good_for_full_books_where_it_was_made_for_empty_ones(explained: Explained) -> None:
    nothing = ", ".join(["'{}'"] * 8)
    async with explained.session.connection() as connection:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE look_up AS {query('look_up')}")
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE look_up ({nothing})")
    plans = list(tables(json.loads(told)[0]["Plan"]))
    assert {plan["Relation Name"] for plan in plans} == {"companies", "invoices", "payments", "pending", "allocations"}
    assert [plan["Relation Name"] for plan in plans if not plan.keys() & {"Index Cond", "Recheck Cond"}] == []
