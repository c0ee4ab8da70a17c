"""The long run, so short that it runs with every other test: it passes on a worker as it is, and tells of damage."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from deploy.servers import Servers
from tests.endurance.__main__ import endure
from tests.endurance.books import Books
from tests.endurance.figures import Figures
from tests.endurance.options import Options, parse
from tests.endurance.oracle import Oracle
from tests.endurance.traffic import Traffic
from tests.endurance.world import World
from tests.places import database_url, new_database, new_vhost

ARGUMENTS = "--payments 1500 --kills 6 --restarts 2 --seed 7 --ahead 500 --keep"


@dataclass
class Run:
    options: Options
    figures: Figures
    json: str
    database_url: str
    folder: Path

    def told(self, folder: Path) -> sqlite3.Connection:
        """Return a copy of the ledger's memory, to be damaged."""
        return sqlite3.connect(shutil.copy(self.folder / "ledger.sqlite", folder), isolation_level=None)


@pytest.fixture(scope="module")
def run(own_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("endurance")
    arguments = [*ARGUMENTS.split(), "--json", str(folder / "figures.json"), "--evidence", str(folder / "evidence")]
    options = parse(arguments)
    with new_database(own_servers) as name, new_vhost(own_servers) as vhost:
        url = database_url(own_servers, name)
        figures = endure(options, own_servers, vhost.amqp_url, url)
        yield Run(options, figures, (folder / "figures.json").read_text(), url, folder / "evidence")


def test_kills_and_restarts_lose_nothing_and_double_nothing(run: Run) -> None:
    figures = run.figures
    assert figures.violations == []
    assert sum(figures.blows.values()) == run.options.kills + run.options.restarts
    assert figures.blows["worker killed"] == run.options.kills
    assert figures.confirmed == figures.steps > figures.payments == run.options.payments
    assert figures.distinct_events <= figures.outcome_deliveries
    assert figures.audit == "The books add up."


def test_the_traffic_meets_all_that_it_is_to_meet(run: Run) -> None:
    assert set(figures_of(run)["events_by_reason"]) >= {
        *("booked", "idempotency_conflict", "cancelled", "invalid"),
        *("invoice_closed", "invoice_cancelled", "invoice_not_found", "invoice_of_another_company"),
    }
    traffic = Traffic(run.options.seed, run.options.payments, World(run.options.seed, run.options.payments))
    assert {traffic.step(number).dead_letter for number in traffic.filed} == {
        *("invalid", "malformed_json", "unknown_type", "unknown_company", "unsupported_content_type"),
    }


def figures_of(run: Run) -> dict[str, dict[str, int]]:
    return dict(json.loads(run.json))


FIRST_BOOKED = "(SELECT event_id FROM events WHERE statusid = 6 ORDER BY event_id LIMIT 1)"
FIRST_CANCELLED = "(SELECT event_id FROM events WHERE reason = 'cancelled' ORDER BY event_id LIMIT 1)"
FIRST_CONFLICT = "(SELECT event_id FROM events WHERE reason = 'idempotency_conflict' ORDER BY event_id LIMIT 1)"

AGAIN = """
    SELECT x'00', digest, company, key, statusid, reason, currency, amount, unfocused, cancels, 1, 0 FROM events
"""


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (f"DELETE FROM answers WHERE event_id = {FIRST_BOOKED}", "no answer"),
        (f"INSERT INTO events {AGAIN} WHERE event_id = {FIRST_BOOKED}", "booked 2 times"),
        (f"INSERT INTO events {AGAIN} WHERE event_id = {FIRST_CANCELLED}", "cancelled 2 times"),
        (f"UPDATE events SET is_changed = 1 WHERE event_id = {FIRST_BOOKED}", "with other bytes"),
        (f"UPDATE events SET amount = amount + 3 WHERE event_id = {FIRST_BOOKED}", "was published"),
        (f"UPDATE events SET key = 'pay-99999' WHERE event_id = {FIRST_BOOKED}", "nobody published it"),
        (f"UPDATE events SET company = 'c99' WHERE event_id = {FIRST_CONFLICT}", "answered under c99"),
        (f"UPDATE events SET reason = 'invalid' WHERE event_id = {FIRST_CONFLICT}", "answered 1 invalid"),
        (f"UPDATE events SET statusid = 2 WHERE event_id = {FIRST_CONFLICT}", "answered 2 idempotency_conflict"),
        (f"UPDATE answers SET replays = 1 WHERE event_id = {FIRST_CONFLICT}", "a replay of idempotency_conflict"),
        (f"UPDATE moves SET capital = capital - 1 WHERE event_id = {FIRST_CANCELLED}", "does not take back"),
        (f"INSERT INTO oddities VALUES ({FIRST_BOOKED}, 'it cannot be')", "it cannot be"),
        ("UPDATE answers SET step = -1 WHERE step = 0", "name no step"),
        ("UPDATE events SET reason = 'booked', statusid = 6 WHERE reason = 'invoice_not_found'", "was published"),
    ],
)
def test_the_oracle_tells_what_the_ledger_must_not_have_been_told(
    run: Run, tmp_path: Path, damage: str, told: str
) -> None:
    memory = run.told(tmp_path)
    assert list(oracle(run, memory).violations()) == []
    memory.execute(damage)

    assert any(told in each for each in oracle(run, memory).violations())


def oracle(run: Run, memory: sqlite3.Connection) -> Oracle:
    world = World(run.options.seed, run.options.payments)
    return Oracle(Traffic(run.options.seed, run.options.payments, world), memory)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "UPDATE invoices SET capital_allocated = capital_allocated + 1 WHERE billcode = 'c00-0'",
            "c00 c00-0: the books",
        ),
        ("DELETE FROM allocations WHERE ctid = (SELECT min(ctid) FROM allocations)", "sums of allocations"),
        (
            "UPDATE payments SET amount = amount + 1 WHERE id = (SELECT min(id) FROM payments WHERE statusid = 6)",
            "sums of",
        ),
        ("UPDATE outcomes SET body = body || ' ' WHERE ctid = (SELECT min(ctid) FROM outcomes)", "in other bytes"),
        ("DELETE FROM outcomes WHERE ctid = (SELECT min(ctid) FROM outcomes)", "events were told, and the books hold"),
        ("UPDATE outcomes SET event_id = gen_random_uuid() WHERE statusid = 6", "was never told"),
        ("INSERT INTO outbox (event_id, replayed) SELECT event_id, false FROM outcomes LIMIT 1", "outbox: 1 rows"),
        ("UPDATE dead_letters SET reason = 'poison' WHERE id = (SELECT min(id) FROM dead_letters)", "of reason poison"),
        ("DELETE FROM dead_letters WHERE reason = 'malformed_json'", "not filed as malformed_json"),
        ("UPDATE dead_letters SET state = 'resolved'", "now resolved"),
    ],
)
async def test_the_books_are_told_apart_from_the_ledger(run: Run, tmp_path: Path, damage: str, told: str) -> None:
    database = await asyncpg.connect(run.database_url)
    try:
        assert await disagreements(run, tmp_path, database) == []
        transaction = database.transaction()
        await transaction.start()
        await database.execute("SET LOCAL session_replication_role = replica")
        await database.execute(damage)
        found = await disagreements(run, tmp_path, database)
        await transaction.rollback()
    finally:
        await database.close()

    assert any(told in each for each in found)


async def disagreements(run: Run, folder: Path, database: asyncpg.Connection) -> list[str]:
    world = World(run.options.seed, run.options.payments)
    traffic = Traffic(run.options.seed, run.options.payments, world)
    return [each async for each in Books(world, traffic, run.told(folder), database).violations()]
