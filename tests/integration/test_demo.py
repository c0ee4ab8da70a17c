"""The demo, as somebody sees it who runs it."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from tests.conftest import Database, Vhost

DEADLINE_S = 60.0
DEMO = [sys.executable, "-c", "from worker.cli import main; main()", "demo"]


@pytest.fixture
def environment(database: Database, vhost: Vhost) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENT_WORKER_")}
    return others | {"PAYMENT_WORKER_DATABASE_URL": database.url, "PAYMENT_WORKER_AMQP_URL": vhost.amqp_url}


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(DEMO, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@contextmanager
def kept(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The demo left running, and what it has printed up to its last line."""
    with subprocess.Popen([*DEMO, "--keep"], env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            lines = []
            for line in running.stdout:
                lines.append(line.rstrip("\n"))
                if "/metrics" in line:
                    break
            yield running, lines
        finally:
            running.terminate()
            running.wait(DEADLINE_S)


def test_the_demo_shows_payments_outcomes_a_duplicate_a_dead_letter_and_the_audit(environment: dict[str, str]) -> None:
    run = demo(environment)
    lines = run.stdout.splitlines()

    assert (run.returncode, run.stderr) == (0, "")
    assert [line.split("  ")[:2] for line in lines if "Ropo One's published example" in line] == [["1", "bank-1"]]
    statuses = {line.split()[0]: line.split()[2] for line in lines if line[:1].isdigit() and line.split()[2].isupper()}
    assert statuses == {
        "1": "OHISPAY",
        "2": "OHISPAY",
        "3": "OHISPAY",
        "4": "CLOSE",
        "5": "NOT_FOUND",
        "6": "UNDONE",
        "7": "OHISPAY",
        "8": "FAIL",
    }
    assert "Payment 7 is payment 1 come again" in run.stdout
    assert "dead letter 1: malformed_json" in run.stdout
    assert '"focusedtocapital": 710.00' in run.stdout
    assert '"statustext": "Capital kirjattu"' in run.stdout
    assert lines[-1] == "The books add up."


def test_the_breakdown_says_what_went_to_each_component_and_what_is_left(environment: dict[str, str]) -> None:
    lines = demo(environment).stdout.splitlines()
    part = next(number for number, line in enumerate(lines) if line.startswith("2  6 OHISPAY"))

    assert lines[part].split()[3:] == ["notice", "fee", "5.00", "5.00", "0.00", "0.00"]
    assert lines[part + 1].split()[1:] == ["interest", "12.50", "12.50", "0.00"]
    assert lines[part + 2].split() == ["capital", "500.00", "82.50", "417.50"]


def test_without_a_terminal_the_demo_is_plain_text_of_100_columns(environment: dict[str, str]) -> None:
    run = demo(environment | {"COLUMNS": "400", "FORCE_COLOR": "", "LC_ALL": "C.UTF-8"})

    assert "\x1b" not in run.stdout
    assert max(len(line) for line in run.stdout.splitlines()) <= 100


def test_the_demo_can_be_repeated_on_the_same_servers(environment: dict[str, str]) -> None:
    first, second = demo(environment), demo(environment)

    assert (first.returncode, second.returncode) == (0, 0)
    assert "Checked 8 invoices, 12 payments (6 booked)" in second.stdout


async def test_the_demo_fails_with_one_line_where_an_outcome_is_not_as_it_must_be(
    database: Database, environment: dict[str, str]
) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute(
        """CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN NEW.overpayment := 'reject'; RETURN NEW; END$$;
        CREATE TRIGGER reject BEFORE INSERT ON companies FOR EACH ROW EXECUTE FUNCTION reject()"""
    )
    await connection.close()

    run = demo(environment)

    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "Error: status of payment 3: expected OHISPAY, found FAIL"
    assert '"event": "taking messages"' in run.stderr, "the worker's log is shown"
    assert "Traceback" not in run.stderr


async def test_the_demo_fails_where_the_books_do_not_add_up(database: Database, environment: dict[str, str]) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute("INSERT INTO outbox (event_id, replayed) VALUES (gen_random_uuid(), false)")
    await connection.close()

    run = demo(environment)

    assert run.returncode == 1
    assert "outbox_without_outcome" in run.stdout
    assert run.stderr.splitlines()[-1] == "Error: the books do not add up"


@pytest.mark.parametrize("variable", ["PAYMENT_WORKER_AMQP_URL", "PAYMENT_WORKER_DATABASE_URL"])
def test_a_server_that_is_away_is_told_in_one_line(environment: dict[str, str], variable: str) -> None:
    scheme = environment[variable].partition(":")[0]
    run = demo(environment | {variable: f"{scheme}://user:secret@127.0.0.1:1/nowhere"})

    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines()[-1].startswith("Error: ")
    assert variable in run.stderr
    assert "secret" not in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_kept_demo_can_be_reached_until_it_is_interrupted(
    environment: dict[str, str], number: signal.Signals
) -> None:
    with kept(environment) as (running, lines):
        ready_url = lines[-1].split()[-1].replace("/metrics", "/readyz")
        with urllib.request.urlopen(ready_url, timeout=DEADLINE_S) as answer:  # noqa: S310 (the demo's own address)
            assert answer.read() == b"ready\n"
        running.send_signal(number)
        status = running.wait(DEADLINE_S)

    assert status == 0
    for name in ("PAYMENT_WORKER_AMQP_URL", "PAYMENT_WORKER_DATABASE_URL"):
        assert f"export {name}={environment[name]}" in lines
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(ready_url, timeout=DEADLINE_S)  # noqa: S310
