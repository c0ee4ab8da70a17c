"""The audit in a running worker: slice by slice round the books, by one worker of many, and told as metrics."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from deploy.servers.place import free_ports
from tests.integration.audited_books import FINDINGS_MAX, PAYMENT, Books, invoice, opened
from tests.integration.cancelled_books import ACME, cancelled_books, pay
from tests.over_http import get
from tests.places import Database
from tests.site import Site, eventually
from worker import auditor
from worker.auditor import Auditor
from worker.books import audit_slice
from worker.books.audit_slice import Round
from worker.books.checks import WALKS, Range, ending
from worker.books.session import Session
from worker.telemetry import AUDIT_ACTIVE, AUDIT_FINDINGS

DAMAGE = (
    "UPDATE invoices SET interest = interest + 1, interest_allocated = interest_allocated + 1 WHERE billcode = '{}'"
)


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with cancelled_books(database) as books:
        yield books


@pytest.fixture(autouse=True)
def _without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "AUDIT_SHARE_MAX", 1)
    AUDIT_ACTIVE.set(0)
    AUDIT_FINDINGS.clear()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"payment_worker_audit_{name}", labels) or 0.0


async def rounds(count: int) -> None:
    """Wait until so many more rounds have ended."""
    wanted = metric("rounds_total") + count
    await eventually(lambda: _is(metric("rounds_total") >= wanted))


async def _is(value: bool) -> bool:  # noqa: FBT001
    return value


async def slices(books: Books, rows_max: int) -> AsyncIterator[tuple[str, int]]:
    of_books = Round()
    while not of_books.is_over:
        if (checked := await of_books.check(books.session, rows_max, FINDINGS_MAX)) is not None:
            assert not checked.findings.counts
            yield checked.walk, checked.rows


@pytest.mark.parametrize("rows_max", [1, 3, 1_000])
async def test_a_round_visits_every_row_once_whatever_the_size_of_its_slices(books: Books, rows_max: int) -> None:
    visited = dict.fromkeys(WALKS, 0)
    async for walk, rows in slices(books, rows_max):
        visited[walk] += rows

    assert visited == {name: await books.value(f"SELECT count(*) FROM {name}") for name in WALKS}


async def test_rows_that_are_added_meanwhile_do_not_lengthen_a_round(books: Books) -> None:
    before = int(str(await books.value("SELECT count(*) FROM payments")))
    payments = 0
    async for walk, rows in slices(books, 3):
        if payments < before:
            await books.put(invoice("acme", f"new-{payments}-{walk}", "80.00"))
            await books.settle(*(pay(f"new-{walk}-{payments}-{i}", ("part", "1.00")) for i in range(3)))
        payments += rows if walk == "payments" else 0

    assert payments <= before + 3, "those of before the first slice's end"


async def test_books_at_work_give_no_false_findings(books: Books) -> None:
    is_done = False

    async def settle() -> None:
        nonlocal is_done
        for batch in range(25):
            await books.settle(*(pay(f"k{batch}-{i}", ("part", "1.00"), ("over", "0.10")) for i in range(4)))
        is_done = True

    async with Session(books.url, "slices") as session, asyncio.TaskGroup() as group:
        group.create_task(settle())
        of_books = Round()
        while not is_done or not of_books.is_over:
            of_books = Round() if of_books.is_over else of_books
            checked = await of_books.check(session, 7, FINDINGS_MAX)
            assert checked is None or checked.findings.first == []


@pytest.mark.parametrize("walk", ["payments", "invoices"])
async def test_a_slice_has_few_allocations_unless_one_payment_or_invoice_has_more(books: Books, walk: str) -> None:
    await books.settle(*(pay(f"three-{i}", *[("part", "1.00")] * 3) for i in range(4)))
    of = f"{walk.removesuffix('s')}_id"
    most = await books.value(f"SELECT max(n) FROM (SELECT count(*) AS n FROM allocations GROUP BY {of}) AS a")
    part = WALKS[walk].whole
    last: Any = 0
    found = []
    async with books.session.connection() as connection:
        while last < 1_000_000:
            last, _ = await ending(connection, walk, Range(part.first, 1_000_000), 3)
            counted = f"SELECT count(*) FROM allocations WHERE {of} BETWEEN {part.first} AND {last}"
            found.append(await connection.fetchval(counted))
            part = Range(last + 1, part.last)

    assert sum(found) == await books.value("SELECT count(*) FROM allocations")
    assert max(found) < 3 + int(str(most))


async def test_an_empty_database_is_a_round_of_nothing(database: Database) -> None:
    async with opened(database, [ACME]) as books:
        assert [each async for each in slices(books, 10)] == []


async def test_of_two_workers_one_audits_and_the_other_takes_its_place(books: Books) -> None:
    async def holders() -> list[str]:
        sql = """SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND datname = current_database()"""
        async with books.session.connection() as connection:
            return [row[0] for row in await connection.fetch(sql)]

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Session(books.url, "first"))
        second = await stack.enter_async_context(Session(books.url, "second"))
        async with Auditor(first, 0.001, 0.01).running():
            await rounds(1)
            await stack.enter_async_context(Auditor(second, 0.001, 0.01).running())
            await rounds(2)
            assert await holders() == ["payment-worker first"]
        await first.close()
        await rounds(2)
        assert await holders() == ["payment-worker second"]


async def test_a_connection_that_is_lost_begins_the_round_anew_elsewhere(books: Books) -> None:
    await books.damage(DAMAGE.format("part"))
    async with Session(books.url, "audit") as session, Auditor(session, 0.001, 0.01).running():
        await rounds(1)
        killed = await books.value(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'payment-worker audit' AND datname = current_database()"
        )
        await rounds(2)

        assert killed == 1
        assert metric("active") == 1
        assert metric("findings", kind="invoice_allocated") == 1


async def test_a_finding_is_told_once_a_round_and_no_more_after_it_is_mended(books: Books) -> None:
    await books.damage(DAMAGE.format("part"))
    key = "the-key-of-a-payment"
    await books.damage(f"UPDATE payments SET idempotency_key = '{key}' WHERE id = {PAYMENT.format('over-again')}")
    invoice_id = await books.value("SELECT id FROM invoices WHERE billcode = 'part'")
    with capture_logs() as logged:
        async with Session(books.url, "audit") as session, Auditor(session, 0.001, 0.01).running():
            ended = metric("rounds_total")
            await rounds(3)
            told = [entry for entry in logged if entry.get("of") == f"invoice {invoice_id}"]
            assert metric("findings", kind="invoice_allocated") == 1
            assert len(told) - (metric("rounds_total") - ended) in (0, 1)
            await books.damage(DAMAGE.format("part").replace("+", "-"))
            await rounds(2)
            assert metric("findings", kind="invoice_allocated") == 0
            assert metric("findings", kind="outcome_disagrees") == 1

    expected = {
        "event": "the books do not add up",
        "kind": "invoice_allocated",
        "company": "acme",
        "log_level": "error",
    }
    assert told[0] == expected | {"of": f"invoice {invoice_id}"}
    assert key not in json.dumps(logged), "what an upstream calls a payment is not logged"
    assert metric("active") == 1
    assert metric("round_ended_timestamp_seconds") > 0


async def test_a_row_that_takes_too_long_is_stepped_over_and_told(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_slice, "SETTINGS", audit_slice.SETTINGS + "SET LOCAL statement_timeout = 1500;")
    monkeypatch.setattr(auditor, "AUDIT_SLICE_ROWS_MAX", 4)
    await books.damage(
        """CREATE FUNCTION slow(bigint) RETURNS bigint STABLE LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(60); RETURN $1; END';
        ALTER TABLE wallets RENAME TO stored;
        CREATE VIEW wallets AS SELECT id, company, wallet_id, number, currency, version, unconditional, conditional,
            CASE WHEN number = 'W2' THEN slow(id) ELSE drawn END AS drawn FROM stored;"""
        + DAMAGE.format("part")
    )
    over = metric("stepped_over_total")
    checked = metric("checked_total", table="wallets")
    with capture_logs() as logged:
        async with Session(books.url, "audit") as session, Auditor(session, 0.001, 0.01).running():
            await rounds(1)

    assert metric("stepped_over_total") == over + 1
    assert metric("checked_total", table="wallets") == checked + 2
    assert [entry["rows"].split()[0] for entry in logged if "rows" in entry] == ["wallets"]


async def test_a_worker_shows_damage_on_its_metrics_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.auditor.AUDIT_SHARE_MAX", 1.0)  # else a round takes as long as the machine is busy
    port = next(free_ports())

    async def shows(line: str) -> bool:
        return line in (await asyncio.to_thread(get, port, "/metrics"))[1].splitlines()

    async with site.worker(http_port=port, audit_pause_s=0.01):
        await site.put()
        await site.pay(key="k1")
        await site.next_event()
        await eventually(lambda: shows("payment_worker_audit_active 1.0"))
        await site.database.execute("UPDATE payments SET surcharge = 1")
        await eventually(lambda: shows('payment_worker_audit_findings{kind="outcome_disagrees"} 1.0'))
        await site.database.execute("UPDATE payments SET surcharge = 0")
        await eventually(lambda: shows('payment_worker_audit_findings{kind="outcome_disagrees"} 0.0'))


async def test_a_worker_that_is_told_not_to_does_not_audit(site: Site) -> None:
    async with site.worker(audit_pause_s=0):
        await site.pay(key="k1")
        await site.next_event()
        names = await site.database.fetch(
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
        )

    assert "payment-worker audit" not in {name["application_name"] for name in names}
