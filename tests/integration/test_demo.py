"""The demo, as somebody sees it who runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.servers import Servers
from tests.over_http import get
from tests.places import Database, Vhost, database_url, new_database, new_vhost

DEADLINE_S = 60.0
COMMAND = [sys.executable, "-c", "from worker.cli import main; main()"]


def environment_of(database: Database, vhost: Vhost) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("PAYMENT_WORKER_")}
    return others | {"PAYMENT_WORKER_DATABASE_URL": database.url, "PAYMENT_WORKER_AMQP_URL": vhost.amqp_url}


@pytest.fixture
def environment(database: Database, vhost: Vhost) -> dict[str, str]:
    return environment_of(database, vhost)


@pytest.fixture(scope="module")
def shown(servers: Servers) -> list[str]:
    """What the demo prints, line by line, for the tests that only read it; on servers that nobody has set up."""
    with new_database(servers) as name, new_vhost(servers) as vhost:
        run = demo(environment_of(Database(database_url(servers, name)), vhost))
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return command(environment, "demo")


@contextmanager
def kept(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The demo left running, and what it has printed up to its last line."""
    with subprocess.Popen([*COMMAND, "demo", "--keep"], env=environment, stdout=subprocess.PIPE, text=True) as running:
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


def part(lines: list[str], title: str) -> list[str]:
    """The lines under the title, up to the empty line after them."""
    first = next(number for number, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[first : lines.index("", first)]


def cells(table: list[str]) -> dict[str, list[str]]:
    """The rows of a table by their number; lines without one, which go on with a row, are left out."""
    rows = [re.split(r" {2,}", line.rstrip()) for line in table if line[:1].isdigit()]
    return {row[0]: row[1:] for row in rows}


def test_the_demo_shows_payments_outcomes_a_duplicate_a_dead_letter_and_the_audit(shown: list[str]) -> None:
    assert len(cells(part(shown, "Payments in"))) == 13
    statuses = {number: row[:2] for number, row in cells(part(shown, "Outcomes out")).items()}
    assert statuses == {
        "1": ["6 OHISPAY", "booked"],
        "2": ["6 OHISPAY", "booked, surcharge 1.00"],
        "3": ["6 OHISPAY", "booked"],
        "4": ["6 OHISPAY", "booked"],
        "5": ["6 OHISPAY", "booked"],
        "6": ["6 OHISPAY", "booked"],
        "7": ["5 CLOSE", "invoice_closed"],
        "8": ["10 NOT_FOUND", "invoice_not_found"],
        "9": ["0 UNDONE", "paydate_in_future"],
        "10": ["6 OHISPAY", "booked, replayed"],
        "11": ["1 FAIL", "idempotency_conflict"],
        "13": ["11 CANCELLED", "cancelled"],
    }
    assert any(line.startswith("Payment 10 is payment 1 come again") for line in shown)
    assert any(line.startswith("Payment 12 is dead letter 1: malformed_json") for line in shown)
    assert shown[-1] == "The books add up."


def test_each_source_systems_published_example_pays_its_invoice(shown: list[str]) -> None:
    invoices = [line.split("  ")[0] for line in part(shown, "Invoices in")]
    assert invoices[1:5] == ["billcode", "jobid", "billnum", "reference_number"]
    payments, outcomes = cells(part(shown, "Payments in")), cells(part(shown, "Outcomes out"))
    assert {number: [row[0], row[1], *row[-2:]] for number, row in payments.items() if "Published" in row[2]} == {
        "1": ["ropo.payment.v1", "bank-1", "710.00", "1234567"],
        "2": ["ivvy.add-payment.v1", "bank-2", "10.00", "156"],
        "3": ["invisible-collector.payment.v1", "RG TEST/001", "30.75", "FT TEST/001"],
        "4": ["crm-com.pay-invoice.v1", "bank-4", "all", "328"],
    }
    assert {number: outcomes[number][2:6] for number in ("1", "2", "3", "4")} == {
        "1": ["capital", "710.00", "710.00", "0.00"],
        "2": ["capital", "10.00", "10.00", "0.00"],
        "3": ["capital", "30.75", "30.75", "0.00"],
        "4": ["capital", "225.00", "225.00", "0.00"],
    }


def test_each_source_system_is_answered_in_its_own_shape(shown: list[str]) -> None:
    ropo = json.loads("".join(part(shown, "The response to payment 1 in Ropo One's own shape")))
    assert (ropo["focusedtocapital"], ropo["statusid"], ropo["statustext"]) == (710.0, 6, "Capital kirjattu")
    header, *rows = part(shown, "The responses to payments 2 to 4")
    column = header.index("response")
    said = {"": ""}
    for row in rows:
        system = row[:column].strip() or [*said][-1]
        said[system] = f"{said.get(system, '')} {row[column:].strip()}"
    ivvy, collector, crm = (json.loads(said[system]) for system in ("iVvy", "Invisible Collector", "CRM.COM"))
    assert (ivvy["Success"], type(ivvy["Id"])) == (True, int)
    assert [line["amount"] for line in collector["lines"]] == [10.75, 20.0]
    assert collector["lines"][1]["referenceNumber"] == "NC NC/001"
    assert (crm["status"]["code"], crm["data"]["life_cycle_state"]) == ("OK", "POSTED")
    assert crm["data"]["payment_amount"] == 225.0


def test_the_breakdown_says_what_went_to_each_component_and_what_is_left(shown: list[str]) -> None:
    booked = next(number for number, line in enumerate(shown) if line.startswith("5   6 OHISPAY"))

    assert shown[booked].split()[4:] == ["notice", "fee", "5.00", "5.00", "0.00", "0.00"]
    assert shown[booked + 1].split() == ["interest", "12.50", "12.50", "0.00"]
    assert shown[booked + 2].split() == ["capital", "500.00", "82.50", "417.50"]


def test_a_cancelled_payment_leaves_its_invoice_open_as_it_was_before(shown: list[str]) -> None:
    cancelled = next(number for number, line in enumerate(shown) if line.startswith("13  11 CANCELLED"))

    assert cells(part(shown, "Payments in"))["13"] == ["payment.cancel.v1", "bank-13", "Cancels payment 5"]
    assert shown[cancelled].split()[4:] == ["notice", "fee", "0.00", "-5.00", "5.00", "0.00"]
    assert shown[cancelled + 1].split() == ["interest", "0.00", "-12.50", "12.50"]
    assert shown[cancelled + 2].split() == ["capital", "417.50", "-82.50", "500.00"]
    assert "OPEN, capital 500.00, interest 12.50, notice fee 5.00." in " ".join(shown)


def test_without_a_terminal_the_demo_is_plain_text_of_100_columns(environment: dict[str, str]) -> None:
    run = demo(environment | {"COLUMNS": "400", "FORCE_COLOR": "", "LC_ALL": "C.UTF-8"})

    assert "\x1b" not in run.stdout
    assert max(len(line) for line in run.stdout.splitlines()) <= 100


def test_the_demo_can_be_repeated_on_the_same_servers(environment: dict[str, str]) -> None:
    first, second = demo(environment), demo(environment)

    assert (first.returncode, second.returncode) == (0, 0)
    assert re.search(r"^Checked 14 invoices, .*20 payments \(12 booked", second.stdout, re.MULTILINE)


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
    assert run.stderr.splitlines()[-1] == "Error: status of payment 6: expected OHISPAY, found FAIL"
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
        port = urlsplit(lines[-1].split()[-1]).port
        assert port is not None
        assert get(port, "/readyz") == (200, "ready\n")
        running.send_signal(number)
        status = running.wait(DEADLINE_S)

    assert status == 0
    for name in ("PAYMENT_WORKER_AMQP_URL", "PAYMENT_WORKER_DATABASE_URL"):
        assert f"export {name}={environment[name]}" in lines
    status, said = get(port, "/readyz")
    assert status == 0
    assert "refused" in said


def test_the_commands_that_a_kept_demo_names_show_what_became_of_the_cancelled_payment(
    environment: dict[str, str],
) -> None:
    with kept(environment) as (_, lines):
        named = [shlex.split(line)[1:] for line in lines if line.startswith("payment-worker ")]
        runs = {words[0]: command(environment, *words) for words in named if words[0] != "outcomes"}

    assert {name: (run.returncode, run.stderr) for name, run in runs.items()} == dict.fromkeys(
        ("invoices", "payments", "dead-letters", "audit"), (0, "")
    )
    invoice, payment = (
        {line.split()[0]: line.split()[1] for line in runs[name].stdout.splitlines()}
        for name in ("invoices", "payments")
    )
    assert (invoice["state"], invoice["capital"]) == ("OPEN", "500.00")
    assert (payment["status"], payment["is_cancelled"]) == ("OHISPAY", "yes")
    assert "malformed_json" in runs["dead-letters"].stdout
