"""The plans of batches and of the relay, those of constraints and triggers too: by index, in books of any size."""

import json
import re
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
LOOKING_UP = [
    *("look_up", "find_bookings", "find_foreign", "find_foreign_payments", "find_twins", "lock_wallets"),
    *("write_batch", "hold_payments", "update_payments", "mark_cancelled", "draw", "delete_pending", "wake_cancelled"),
    *("lock_oldest_outbox", "read_outbox", "delete_outbox", "release_outbox", "take_pending"),
    *("update_invoices", "wake_pending", "resolve_dead_letters"),
]
"""What lanes and the relay ask of tables that grow, but for what names a single row or none."""
APPEND_ONLY = ["read_outbox"]
"""Where a table is empty, one of its indexes is as good as another; that of the outcomes never is again."""
FROM_THE_OLDEST = {"outbox_pkey": "(id > ", "pending_wake_at": "(wake_at <= "}
"""By what condition an index is also read from one end, up to a limit."""
LEADING = """
SELECT index.relname, indrelid::regclass::text, attname
FROM pg_index
JOIN pg_class index ON index.oid = indexrelid
JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE index.relnamespace = current_schema::regnamespace
"""
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
Read = tuple[str, bool]
"""Of a plan: a table that it reads, and whether it looks rows up, or else reads a table or an index from end to end."""


class Explained:
    """A lane's session that notes the plan of each statement of it."""

    def __init__(self, session: Session, leading: dict[str, tuple[str, str]]) -> None:
        self.session = session
        self.reads: set[Read] = set()
        self._leading = leading
        """Of each index its table and first column."""

    async def work(self, first: int, messages: int) -> set[Read]:
        """Book payments of invoices, relay their outcomes, look for undone ones; return how tables were read."""
        self.reads.clear()
        payments = [pay(f"key-{n}", (f"filled-{n}", "1.00")) for n in range(first, first + messages)]
        committed = await settle_batch(self.session, payments, {"acme": ACME}, Moment(NOW))
        async with self.session.transaction() as connection:
            assert (await take_oldest(connection, await claim_outbox(connection), {})).rows
            taken = await take_own(connection, dict.fromkeys(committed.outbox))
            assert len(taken.rows) == messages
            await delete_outbox(connection, taken.rows)
            await take_pending(connection, NOW, messages)
        return set(self.reads)

    def note(self, _: object, said: asyncpg.PostgresLogMessage) -> None:
        text = said.message or ""
        if "plan:" in text:
            plan = json.loads(text[text.index("{") :])
            self.reads.update(self.of(plan["Plan"]))

    def of(self, plan: dict[str, Any]) -> Iterator[Read]:
        """Yield how the plan reads tables of the books. An index serves where the condition is on its first column."""
        for node in nodes(plan):
            if node["Node Type"] == "Seq Scan":
                yield node["Relation Name"], False
            elif (index := node.get("Index Name")) in self._leading:
                table, column = self._leading[index]
                looking_up = {f"({column} = ", f"({column} @> ", FROM_THE_OLDEST.get(index, f"({column} = ")}
                yield table, any(condition in node.get("Index Cond", "") for condition in looking_up)


@pytest.fixture
async def explained(database: Database) -> AsyncIterator[Explained]:
    async with Session(database.url, "test", settings=LOOKUPS) as session:
        async with session.connection() as connection:
            leading = {index: (table, column) for index, table, column in await connection.fetch(LEADING)}
            explained = Explained(session, leading)
            await put_policy(connection, ACME)
            await connection.execute(EXPLAINED)
            connection.add_log_listener(explained.note)
        yield explained


def scanned(found: set[Read]) -> set[str]:
    return {table for table, looked_up in found if not looked_up and table in GROWING | {"wallets", "dead_letters"}}


async def test_filled_books_are_read_by_index(explained: Explained) -> None:
    async with explained.session.connection() as connection:
        await connection.execute(FILL)
    found = await explained.work(1, 250)
    assert scanned(found) == set()
    assert {table for table, _ in found} >= GROWING


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
    assert {table for table, _ in found} >= GROWING - {"pending"}


@pytest.mark.parametrize("messages", [1, 50])
@pytest.mark.parametrize("name", ["look_up", "write_batch"])
async def test_the_large_statements_of_a_batch_are_not_planned_for_each(
    explained: Explained, name: str, messages: int
) -> None:
    async with explained.session.connection() as connection:
        await connection.execute(FILL)
    for n in range(10):
        await explained.work(1 + n * messages, messages)
    async with explained.session.connection() as connection:
        plans = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1"
        row = await connection.fetchrow(plans, query(name))
    assert row is not None
    assert tuple(row) == (5, 5), "five that Postgres compares with"


@pytest.mark.parametrize(
    ("name", "is_vacuumed"),
    [(name, False) for name in LOOKING_UP] + [(name, True) for name in LOOKING_UP if name not in APPEND_ONLY],
)
async def test_a_plan_made_for_empty_tables_looks_rows_up(explained: Explained, name: str, is_vacuumed: bool) -> None:  # noqa: FBT001
    """The outbox is empty most of the time, and so it is when its statistics are made."""
    arguments = ", ".join(["NULL"] * max(int(number) for number in re.findall(r"\$([0-9]+)", query(name))))
    async with explained.session.connection() as connection:
        if is_vacuumed:
            await connection.execute("VACUUM (ANALYZE)")
        await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE once AS {query(name)}")
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE once ({arguments})")
    reads = set(explained.of(json.loads(told)[0]["Plan"]))
    assert reads
    assert scanned(reads) == set()


async def test_the_policies_that_a_batch_was_read_by_are_looked_up(explained: Explained) -> None:
    await explained.work(1, 1)
    assert ("companies", True) in explained.reads
    assert ("companies", False) not in explained.reads
