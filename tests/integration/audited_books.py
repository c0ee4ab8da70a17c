"""Books that workers write and bare hands damage, for the audit to look at."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from click.testing import CliRunner, Result

from schemas.codec import parse
from schemas.invoice import InvoicePut
from schemas.wallet import WalletPut
from tests.places import Database
from tests.site import eventually
from worker.books.audit import Audit, audit
from worker.books.audit_slice import Round
from worker.books.checks import Findings
from worker.books.companies import put_policy
from worker.books.ledger import settle_batch
from worker.books.session import Session
from worker.books.statements import put_invoices
from worker.books.wallets import put_wallets
from worker.cli import main
from worker.cli.audit import told
from worker.domain.errors import ContendedError
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.settlement import Settlement
from worker.domain.view import Moment

FINDINGS_MAX = 100
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFENCES = """
ALTER TABLE allocations DISABLE TRIGGER USER;
ALTER TABLE outcomes DISABLE TRIGGER USER;
ALTER TABLE allocations DROP CONSTRAINT IF EXISTS allocations_payment_id_fkey,
    DROP CONSTRAINT IF EXISTS allocations_invoice_id_fkey, DROP CONSTRAINT IF EXISTS allocations_fit_the_amount;
ALTER TABLE invoices DROP CONSTRAINT IF EXISTS invoices_capital_open,
    DROP CONSTRAINT IF EXISTS invoices_interest_open;
ALTER TABLE payments DROP CONSTRAINT IF EXISTS payments_only_cancellations_are_negative,
    DROP CONSTRAINT IF EXISTS payments_unfocused_of_amount,
    DROP CONSTRAINT IF EXISTS payments_unbooked_focus_nothing,
    DROP CONSTRAINT IF EXISTS payments_told_unless_awaited_cancelled,
    DROP CONSTRAINT IF EXISTS payments_draw_when_booked, DROP CONSTRAINT IF EXISTS payments_cancels_fkey,
    DROP CONSTRAINT IF EXISTS payments_wallet_fkey;
ALTER TABLE wallets DROP CONSTRAINT IF EXISTS wallets_available;
ALTER TABLE pending DROP CONSTRAINT IF EXISTS pending_payment_id_fkey;
"""
PAYMENT = "(SELECT id FROM payments WHERE company = 'acme' AND idempotency_key = '{}')"
INVOICE = "(SELECT id FROM invoices WHERE billcode = '{}')"


@dataclass
class Books:
    url: str = field(repr=False)
    session: Session
    policies: dict[str, Policy]

    async def put(self, *puts: tuple[str, InvoicePut]) -> None:
        """State invoices, each of (company, statement)."""
        assert not await put_invoices(self.session, [(self.policies[company], put) for company, put in puts], NOW)

    async def put_wallets(self, *puts: tuple[str, WalletPut]) -> None:
        assert not await put_wallets(self.session, [(self.policies[company], put) for company, put in puts])

    async def settle(self, *requests: Request) -> list[Settlement]:
        """Settle the requests in one batch."""
        committed = await settle_batch(self.session, requests, self.policies, Moment(NOW))
        return list(committed.settlements)

    async def audit(self, findings_max: int = FINDINGS_MAX) -> Audit:
        """Audit the books whole, and see that a round of slices finds just the same."""
        whole = await audit(self.session, findings_max)
        for rows_max in (2, 1_000):
            sliced = await self.sliced(rows_max)
            assert sliced.counts == whole.found
            if findings_max == FINDINGS_MAX:
                assert sorted(map(repr, sliced.first)) == sorted(map(repr, whole.findings))
        return whole

    async def sliced(self, rows_max: int) -> Findings:
        """Return what one round of slices finds."""
        found = Findings(FINDINGS_MAX)
        of_books = Round()
        while not of_books.is_over:
            if (checked := await of_books.check(self.session, rows_max, FINDINGS_MAX)) is not None:
                assert checked.rows <= rows_max
                found.counts.update(checked.findings.counts)
                found.first.extend(checked.findings.first)
        return found

    async def damage(self, sql: str) -> None:
        """Change the books as no worker can: with triggers and constraints out of the way.

        That takes every lock there is, so where an audit is reading it may have to be tried again.
        """

        async def is_done() -> bool:
            try:
                async with self.session.connection() as connection:
                    await connection.execute(DEFENCES + sql)
            except ContendedError:
                return False
            return True

        await eventually(is_done)

    async def value(self, sql: str) -> object:
        async with self.session.connection() as connection:
            found: object = await connection.fetchval(sql)
            return found

    async def event(self, payment: str) -> dict[str, object]:
        """Return the last event of the payment, which is SQL for its id."""
        body = await self.value(f"SELECT body FROM outcomes JOIN payments p USING (event_id) WHERE p.id = {payment}")
        assert isinstance(body, bytes)
        event: dict[str, object] = json.loads(body)
        return event

    async def tell(self, payment: str, event: object) -> None:
        """Write another event over the last one of the payment."""
        body = json.dumps(event).encode().hex()
        last = f"(SELECT event_id FROM payments WHERE id = {payment})"
        await self.damage(f"UPDATE outcomes SET body = '\\x{body}' WHERE event_id = {last}")

    async def command(self, *arguments: str) -> Result:
        environment = {"PAYMENT_WORKER_DATABASE_URL": self.url, "PAYMENT_WORKER_AMQP_URL": "amqp://nowhere.invalid/"}
        return await asyncio.to_thread(CliRunner().invoke, main, ["audit", *arguments], env=environment)


@asynccontextmanager
async def opened(database: Database, policies: Sequence[Policy]) -> AsyncIterator[Books]:
    """Give the block the books of those companies, with nothing in them."""
    async with Session(database.url, "test") as session:
        async with session.connection() as connection:
            for policy in policies:
                await put_policy(connection, policy)
        yield Books(database.url, session, {policy.company: policy for policy in policies})


def invoice(company: str, billcode: str, capital: str, **fields: object) -> tuple[str, InvoicePut]:
    put = {"billcode": billcode, "capital": capital, "version": 1} | fields
    return company, parse(InvoicePut, put)


def findings_told(result: Audit) -> list[str]:
    """Return the lines that tell of findings, without the ids of payments and wallets, which no test can know."""
    lines = sorted(line for line in told(result) if ": expected " in line)
    return [re.sub(r"\b(payment|payment_id|wallet) \d+", r"\1 ID", line) for line in lines]
