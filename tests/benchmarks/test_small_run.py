"""The benchmark's own machinery, on a few messages: that it counts right."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

import asyncpg
import pytest

from deploy.dependencies.lock import read_lock
from deploy.servers import Servers
from tests.benchmarks import report
from tests.benchmarks.alone import IN_BATCHES, run_alone
from tests.benchmarks.books import Totals, complaints
from tests.benchmarks.contestants import AIO_PIKA, RELAY, RELAYS, WORKER, Contestant
from tests.benchmarks.cores import Cores, arranged, arrangements, threads
from tests.benchmarks.growth.filled import open_filled
from tests.benchmarks.growth.long_runs import steady
from tests.benchmarks.latency import measure
from tests.benchmarks.payments import Load
from tests.benchmarks.peers.environment import LOCK
from tests.benchmarks.stage import Stage, open_stage
from tests.benchmarks.trial import run
from worker.books.audit import audit
from worker.books.session import Session

INVOICES = 7
EMPTY = Totals(0, 0, 0, 0)
PEER_HERE = replace(AIO_PIKA, command=(sys.executable, *AIO_PIKA.command[1:]))
"""The one peer that needs no more packages than the worker."""
TWICE = """
import asyncio
from tests.benchmarks.limits import bare_relay
copy_of = bare_relay.copy_of
def twice(message):
    copy = copy_of(message)
    copy.message_id = "000000000k" if message.message_id.startswith("000611953") else copy.message_id
    return copy
bare_relay.copy_of = twice
asyncio.run(bare_relay.main())
"""


@pytest.fixture(scope="module")
def stage(servers: Servers) -> Iterator[Stage]:
    with open_stage(servers, INVOICES) as stage:
        yield stage


@pytest.mark.parametrize("contestant", [WORKER, PEER_HERE, *RELAYS], ids=lambda each: each.name)
def test_each_payment_is_counted_once(stage: Stage, contestant: Contestant) -> None:
    result = run(stage, contestant, Load(600, INVOICES))

    assert (result.lost, result.doubled, result.wrong) == (0, 0, [])
    assert result.per_s > 0
    assert result.peak_mib > 0
    assert "program" in result.cpu_us


def test_a_rate_is_told_where_all_outcomes_are_there_at_the_first_look(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.trial.START_SHARE", 1.0)

    result = run(stage, RELAY, Load(200, INVOICES))

    assert result.per_s > 0
    assert "program" in result.cpu_us


def test_repeated_payments_are_told_as_often_as_they_came_and_booked_once(stage: Stage) -> None:
    load = Load(200, INVOICES, repeat_every=5)

    result = run(stage, WORKER, load)

    assert (len(load.expected()), load.expected().total()) == (160, 200)
    assert (result.lost, result.doubled, result.wrong) == (0, 0, [])


def test_what_is_killed_is_started_again_and_loses_nothing(stage: Stage) -> None:
    result = run(stage, RELAY, Load(2_000, INVOICES), kills=1)

    assert result.kills == 1
    assert (result.lost, result.wrong) == (0, [])


def test_an_outcome_that_is_missing_and_one_that_came_twice_are_told(stage: Stage) -> None:
    result = run(stage, replace(RELAY, command=(sys.executable, "-c", TWICE)), Load(200, INVOICES))

    assert (result.lost, result.doubled) == (1, 1)


def test_books_that_do_not_add_up_are_told(stage: Stage) -> None:
    with stage.place("worker") as place:
        run(stage, WORKER, Load(100, INVOICES), database_url=place.database_url)
        assert asyncio.run(complaints(place.database_url, EMPTY, 100)) == []

        asyncio.run(execute(place.database_url, "UPDATE invoices SET capital_allocated = 1 WHERE id = 1"))
        told = asyncio.run(complaints(place.database_url, EMPTY, 101))

    assert any("payments: 100 instead of 101" in text for text in told)
    assert any("1 invoices disagree" in text for text in told)


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_the_database_alone_books_all(stage: Stage) -> None:
    result = run_alone(stage, IN_BATCHES, Load(300, INVOICES))

    assert result.wrong == []
    assert result.messages > 300  # and a batch to warm up
    assert result.per_s > 0


def test_the_peers_are_pinned_with_hashes_and_share_the_projects_versions() -> None:
    pins, wrong = read_lock(LOCK)
    project, _ = read_lock(report.ROOT / "requirements.lock")

    assert wrong == []
    assert {"faststream", "dramatiq", "psycopg", "pika"} <= pins.keys()
    shared = pins.keys() & project.keys()
    assert "aio-pika" in shared
    assert {name: pins[name].version for name in shared} == {name: project[name].version for name in shared}


def test_worker_and_postgres_share_cores_for_as_long_as_asked(stage: Stage) -> None:
    if "together" not in arrangements(stage.servers):
        pytest.skip("needs a Postgres of its own, and two cores")
    every = os.sched_getaffinity(0)

    def cores_of(server: str) -> set[frozenset[int]]:
        found = set()
        for thread in chain.from_iterable(map(threads, stage.accounts.processes(server))):
            with suppress(ProcessLookupError):
                found.add(frozenset(os.sched_getaffinity(thread)))
        return found

    waits_for_input = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    with waits_for_input as program, arranged("together", stage.accounts, [program.pid]):
        (books,) = cores_of("postgres")
        assert os.sched_getaffinity(program.pid) == books
        assert len(books) == len(every) // 2
        assert cores_of("rabbitmq") == {frozenset(every)}

    assert cores_of("postgres") == {frozenset(every)}


@pytest.mark.parametrize("cores", ["shared", "together"])
def test_latency_is_measured_of_each_message(stage: Stage, cores: Cores) -> None:
    if cores not in arrangements(stage.servers):
        pytest.skip("needs a Postgres of its own, and two cores")

    latency = measure(stage, cores, per_s=100, seconds=0.5, singles=3)

    assert 0 < latency.median_ms <= latency.p99_ms <= latency.max_ms
    assert 0 < latency.idle_median_ms <= latency.idle_p99_ms


def test_filled_books_are_as_the_worker_would_have_filled_them(stage: Stage) -> None:
    async def audited(database_url: str) -> Any:
        async with Session(database_url, "audit") as session:
            return await audit(session)

    with open_filled(stage.servers) as filled:
        filled.grow(3)
        filled.grow(8)
        result = run(stage, WORKER, Load(50, filled.invoices), database_url=filled.url)
        books = asyncio.run(audited(filled.url))

    assert (result.lost, result.doubled, result.wrong) == (0, 0, [])
    assert dict(books.found) == {}
    assert (books.counts["payments"], books.counts["invoices"], books.counts["outcomes"]) == (90, 8, 90)


def test_a_steady_run_is_sampled_until_nothing_waits(stage: Stage) -> None:
    figures = steady(stage, minutes=0.02, per_s=100, sample_s=0.2)

    assert figures["wrong"] == []
    assert figures["messages"] == 120
    assert figures["samples"][-1]["payments"] == 120
    assert (figures["samples"][-1]["ready"], figures["samples"][-1]["outbox_rows"]) == (0, 0)
