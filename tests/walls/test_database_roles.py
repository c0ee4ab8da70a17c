"""The main job as the worker's role does it, and each command as the role that the README says."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.servers import Servers
from schemas import catalog
from tests.builders import a_message, body
from tests.integration import dialects
from tests.integration.command_line import CommandLine
from tests.places import Database, Vhost, new_vhost
from tests.site import Site, eventually, is_waiting, open_site
from tests.walls.walled import OWNER, WalledBooks, execute, new_walled_books
from worker.books.audit import audit
from worker.books.ledger import settle_batch
from worker.books.rights import grant_rights
from worker.books.session import Session
from worker.cli import main
from worker.domain.policy import Policy
from worker.domain.request import read_request
from worker.domain.view import Moment

RUN, IMPORT, OPS, READ = "payment_worker_run", "payment_worker_import", "payment_worker_ops", "payment_worker_read"
ROLES = (RUN, IMPORT, OPS, READ)


@pytest.fixture(scope="module")
def books(own_servers: Servers) -> Iterator[WalledBooks]:
    with new_walled_books(own_servers) as books:
        yield books


@pytest.fixture
async def site(books: WalledBooks, own_vhost: Vhost) -> AsyncIterator[Site]:
    """A site whose worker logs in as a member of the worker's role; the test looks on as the owner."""
    async with open_site(Database(books.urls[OWNER]), own_vhost) as site:
        site.database_url = books.urls[RUN]
        yield site


@pytest.fixture
def mended(tmp_path: Path) -> Path:
    file = tmp_path / "mended.json"
    file.write_text(json.dumps({"amount": "0", "billcode": "B1", "paydate": "2017-10-10"}))
    return file


async def test_the_worker_does_its_whole_job_in_its_role(site: Site, books: WalledBooks, mended: Path) -> None:
    await site.policy("acme", await_invoice_s=3600)
    async with site.worker():
        await _state(site)
        await _book_from_every_source(site)
        await _answer_what_is_not_booked(site)
        await _cancel(site)
        await _wait_for_an_invoice(site)
        await _file_and_resolve_a_dead_letter(site, books, mended)
    assert await site.database.fetchval("SELECT count(*) FROM outbox") == 0
    async with Session(books.urls[READ], "audit") as session:
        found = await audit(session)
    assert found.adds_up, found.findings
    assert (found.counts["booked"], found.counts["cancellations"]) == (len(dialects.PAYMENTS) + 2, 1)


async def _state(site: Site) -> None:
    """Invoices and a wallet, new and anew."""
    for number in (1, 2, 3, 4, 5):
        await site.put(**dialects.invoice_names(number), capital="100.00", external_id=f"X{number}")
    await site.put(**dialects.invoice_names(1), capital="500.00", interest="1.00", version=2)
    for version in (1, 2):
        wallet = {"number": "W1", "unconditional": "5.00", "version": version}
        await site.publish("invoice", wallet, type=catalog.WALLET_PUT)
    await site.put(billcode="B6", external_id="X6", capital="5.00")


async def _book_from_every_source(site: Site) -> None:
    for number, (message_type, said) in enumerate(dialects.PAYMENTS.items(), start=1):
        payment = said(dialects.Payment(key=f"k{number}", number=number, amount="1.00"))
        for replayed in (False, True):
            await site.publish("registration", payment, key=f"k{number}", type=message_type)
            event = await site.event_of(f"k{number}")
            assert (event.body["status"], event.replayed) == ("OHISPAY", replayed), event.body
    from_wallet = {
        "paydate": "2017-10-10",
        "wallet": {"number": "W1"},
        "lines": [{"external_id": "X6", "amount": "all"}],
    }
    await site.publish("registration", from_wallet, key="wallet", type=dialects.CANONICAL)
    assert (await site.event_of("wallet")).body["settled_by"] == "wallet"


async def _answer_what_is_not_booked(site: Site) -> None:
    await site.pay({"billcode": "B1", "amount": "2.00"}, key="k1")
    assert (await site.event_of("k1")).body["reason"] == "idempotency_conflict"
    for _ in range(2):
        await site.pay({"billcode": "B1", "amount": 0}, key="zero")
        assert (await site.event_of("zero")).body["reason"] == "amount_zero"


async def _cancel(site: Site) -> None:
    for payment in ("k1", "never"):
        await site.publish("registration", {"payment": payment}, key=f"cancel-{payment}", type=dialects.CANCEL)
    assert (await site.event_of("cancel-k1")).body["reason"] == "cancelled"
    assert (await site.event_of("cancel-never")).body["reason"] == "payment_not_found"
    await site.pay({"billcode": "B2"}, key="never")
    assert (await site.event_of("never")).body["reason"] == "payment_cancelled"


async def _wait_for_an_invoice(site: Site) -> None:
    await site.pay({"billcode": "awaited", "amount": "1.00"}, key="early")
    assert (await site.event_of("early")).body["reason"] == "invoice_awaited"
    await site.put(billcode="awaited")
    assert (await site.event_of("early")).body["status"] == "OHISPAY"
    await site.pay({"billcode": "nowhere"}, key="forgone")
    assert (await site.event_of("forgone")).body["reason"] == "invoice_awaited"
    await site.publish("registration", {"payment": "forgone"}, key="cancel-forgone", type=dialects.CANCEL)
    assert (await site.event_of("forgone")).body["reason"] == "payment_cancelled"


async def _file_and_resolve_a_dead_letter(site: Site, books: WalledBooks, mended: Path) -> None:
    """A letter that fails twice is counted; what ops mends and replays is resolved by the worker."""
    for arrival in ("a", "b"):
        await site.pay(b"{", key="bad", correlation_id=arrival)
        await _letter_is(site, "open", count=2 if arrival == "b" else 1)
    ops = CommandLine(site.amqp_url, books.urls[OPS])
    letter = str(await site.database.fetchval("SELECT id FROM dead_letters"))
    await ops.succeed("dead-letters", "edit", letter, "--body", mended, "--why", "cut off")
    await ops.succeed("dead-letters", "replay", letter)
    await _letter_is(site, "resolved", count=2)


async def _letter_is(site: Site, state: str, count: int) -> None:
    async def is_so() -> bool:
        found = await site.database.fetch("SELECT state, count FROM dead_letters")
        return [tuple(row) for row in found] == [(state, count)]

    await eventually(is_so)


async def test_a_worker_that_lacks_a_right_waits_for_it_and_charges_no_message(
    site: Site, books: WalledBooks, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await site.database.execute(f"REVOKE INSERT ON outcomes FROM {RUN}")
    async with site.worker() as worker:
        await site.pay({"billcode": "nix"}, key="waits")
        await eventually(lambda: is_waiting(worker))
        told = await CommandLine(site.amqp_url, site.database_url).run("doctor")
        await grant_rights(books.urls[OWNER])
        assert (await site.event_of("waits")).body["statusid"] in (0, 10)
    assert "lacks INSERT on outcomes: a worker's is a member of payment_worker_run" in told.stdout
    said = capsys.readouterr().out + caplog.text
    assert "permission denied for table outcomes (SQLSTATE 42501); `payment-worker doctor` says what lacks" in said
    assert await site.database.fetchval("SELECT count(*) FROM dead_letters WHERE state = 'open'") == 0


EVERYONE = frozenset(ROLES)
PUT_COMPANY = ("companies", "put", "acme", "--currency", "EUR")
IMPORT_INVOICES = ("invoices", "import", "{invoices}", "--company", "acme")
PUT_WALLET = ("wallets", "put", "--company", "acme", "--number", "W1", "--unconditional", "5.00")
INSTALLING = ((OWNER, ("setup",)), (OPS, PUT_COMPANY), (IMPORT, IMPORT_INVOICES), (IMPORT, PUT_WALLET))
WHO_MAY = {
    PUT_COMPANY: {OPS},
    ("companies", "list"): EVERYONE,
    IMPORT_INVOICES: {IMPORT},
    ("invoices", "show", "--company", "acme", "--billcode", "B1"): EVERYONE,
    PUT_WALLET: {IMPORT, RUN},
    ("wallets", "show", "--company", "acme", "--number", "W1"): EVERYONE,
    ("wallets", "list", "--company", "acme"): EVERYONE,
    ("payments", "show", "k1", "--company", "acme"): {RUN, OPS, READ},
    ("outcomes", "resend", "--company", "acme", "--since", "2017-01-01"): {RUN, OPS, READ},
    ("dead-letters", "list"): {RUN, OPS, READ},
    ("dead-letters", "groups"): {RUN, OPS, READ},
    ("dead-letters", "show", "1"): {OPS, READ},
    ("dead-letters", "edit", "1", "--body", "{body}"): {OPS},
    ("dead-letters", "discard", "1"): {OPS, RUN},
    ("dead-letters", "replay", "1"): {OPS, RUN},
    ("audit",): {RUN, OPS, READ},
    ("doctor",): {RUN},
    ("setup",): set(),
}
"""Each command that asks the database, and the roles that may. What a worker does by itself, its role may do by hand:
state wallets, mark letters."""
A_LETTER = """
INSERT INTO dead_letters (identity, reason, error, errors, routing_key, body, properties, last_message)
VALUES (sha256(''), 'malformed_json', 'x', '[]', 'registration.acme', '{', '{}', 'x')
"""


@pytest.fixture(scope="module")
def installed(own_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Installation"]:
    """Books of their own, set up by their owner, with something of everything that a command asks for."""
    with new_walled_books(own_servers) as books, new_vhost(own_servers) as vhost:
        installation = Installation(books, vhost, tmp_path_factory.mktemp("files"))
        done = [installation.run(role, *command) for role, command in INSTALLING]
        assert [each.output for each in done if each.exit_code] == []
        asyncio.run(execute(books.urls[OWNER], A_LETTER))
        asyncio.run(register(books.urls[RUN]))
        yield installation


async def register(url: str) -> None:
    """Answer a payment, k1, of no invoice."""
    policy, now = Policy(company="acme", currency="EUR"), datetime.now(UTC)
    request = read_request(a_message(body(), message_id="k1"), policy, now.date())
    async with Session(url, "test") as session:
        await settle_batch(session, [request], {"acme": policy}, Moment(now))


class Installation:
    """Runs commands in this process as the login of a role."""

    def __init__(self, books: WalledBooks, vhost: Vhost, folder: Path) -> None:
        self._books = books
        self._amqp_url = vhost.amqp_url
        self._files = {"invoices": str(folder / "invoices.jsonl"), "body": str(folder / "body.json")}
        Path(self._files["invoices"]).write_text('{"billcode": "B1", "capital": "5.00"}\n')
        Path(self._files["body"]).write_text("{}")

    def run(self, role: str, *command: str) -> Result:
        urls = {"PAYMENT_WORKER_AMQP_URL": self._amqp_url, "PAYMENT_WORKER_DATABASE_URL": self._books.urls[role]}
        return CliRunner().invoke(main, [part.format(**self._files) for part in command], env=urls)

    def reopen(self) -> None:
        """Let the dead letter be one that nobody has dealt with."""
        asyncio.run(execute(self._books.urls[OWNER], "UPDATE dead_letters SET state = 'open'"))


@pytest.mark.parametrize("command", WHO_MAY, ids=" ".join)
def test_each_command_is_for_its_roles(installed: Installation, command: tuple[str, ...]) -> None:
    for role in sorted(EVERYONE - WHO_MAY[command]):
        refused = installed.run(role, *command)
        assert refused.exit_code == 1, (role, refused.output)
        (line,) = [line for line in refused.output.splitlines() if "permission denied" in line or "lacks" in line]
        assert "PAYMENT_WORKER_DATABASE_URL" in line
    for role in sorted(WHO_MAY[command]):
        installed.reopen()
        done = installed.run(role, *command)
        assert done.exit_code == 0, (role, done.output)


def test_the_rights_come_with_set_up(installed: Installation) -> None:
    done = installed.run(OWNER, "setup")
    assert "rights: granted to payment_worker_import, payment_worker_ops, payment_worker_read" in done.output
