"""Cancellations in real books and through a real broker: whoever comes first, nothing is booked that was cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest

from schemas.outcome import Status
from schemas.sources.cancel import CANCEL
from tests.builders import a_message, a_put, body
from tests.integration.command_line import CommandLine
from tests.places import Database
from tests.site import DEADLINE_S, WAITS_FOR_A_LOCK, Site, eventually
from worker.books.audit import audit
from worker.books.companies import put_policy
from worker.books.ledger import settle_batch
from worker.books.session import Connection, Session
from worker.books.statements import put_invoices
from worker.domain.errors import ContendedError
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request
from worker.domain.settlement import Settled, Settlement
from worker.domain.verdict import Reason
from worker.domain.view import Moment

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(company="acme", currency="EUR")


class Hesitant(Session):
    """A session that is about to commit, and waits for a word."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url, "hesitant")
        self.is_about_to_commit = asyncio.Event()
        self.may_commit = asyncio.Event()

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Connection]:
        async with super().transaction(**options) as connection:
            yield connection
            self.is_about_to_commit.set()
            await self.may_commit.wait()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with Session(database.url, "test") as session:
        async with session.transaction() as connection:
            await put_policy(connection, POLICY)
        yield session


def payment(**changes: object) -> Request:
    return read_request(a_message(body(**changes), message_id="payment"), POLICY, NOW.date())


def cancellation(key: str = "cancellation") -> Request:
    message = a_message(b'{"payment": "payment"}', type=CANCEL.message_type, message_id=key)
    return read_request(message, POLICY, NOW.date())


async def settle(session: Session, *requests: Request) -> list[Settlement]:
    committed = await settle_batch(session, requests, {"acme": POLICY}, Moment(NOW))
    return list(committed.settlements)


async def reason(session: Session, request: Request) -> Reason:
    (settled,) = await settle(session, request)
    assert isinstance(settled, Settled)
    return settled.verdict.reason


async def open_capital(session: Session) -> Any:
    async with session.connection() as connection:
        return await connection.fetchval("SELECT capital - capital_allocated FROM invoices")


async def blocked(session: Session) -> bool:
    """Say whether some session waits for a lock of another."""
    async with session.connection() as connection:
        return bool(await connection.fetchval(WAITS_FOR_A_LOCK))


async def race(database: Database, session: Session, first: Request, second: Request) -> Reason:
    """Let the second come while the first is about to commit; return what the second comes to when tried again."""
    async with Hesitant(database) as hesitant, Session(database.url, "second") as other:
        slow = asyncio.create_task(settle(hesitant, first))
        await asyncio.wait_for(hesitant.is_about_to_commit.wait(), DEADLINE_S)
        fast = asyncio.create_task(settle(other, second))
        await eventually(lambda: blocked(session))
        hesitant.may_commit.set()
        await slow
        with pytest.raises(ContendedError):
            await fast
        return await reason(other, second)


async def test_a_cancellation_that_meets_its_payment_being_booked_reverses_it(
    database: Database, session: Session
) -> None:
    await put_invoices(session, [(POLICY, a_put())], NOW)
    assert await race(database, session, payment(), cancellation()) is Reason.CANCELLED
    assert await open_capital(session) == 71000
    assert (await audit(session)).adds_up


async def test_a_payment_that_meets_its_cancellation_is_not_booked(database: Database, session: Session) -> None:
    await put_invoices(session, [(POLICY, a_put())], NOW)
    assert await race(database, session, cancellation(), payment()) is Reason.PAYMENT_CANCELLED
    assert await open_capital(session) == 71000
    assert (await audit(session)).adds_up


@pytest.mark.parametrize("is_cancelled_first", [True, False])
async def test_a_payment_that_comes_again_meets_its_cancellation(
    database: Database, session: Session, *, is_cancelled_first: bool
) -> None:
    """It was refused before, so that its row is there and is what the two are about."""
    assert await reason(session, payment()) is Reason.INVOICE_NOT_FOUND
    await put_invoices(session, [(POLICY, a_put())], NOW)
    if is_cancelled_first:
        assert await race(database, session, cancellation(), payment()) is Reason.PAYMENT_CANCELLED
    else:
        assert await race(database, session, payment(), cancellation()) is Reason.CANCELLED
    assert await open_capital(session) == 71000
    assert (await audit(session)).adds_up


async def test_two_cancellations_at_once_give_the_money_back_once(database: Database, session: Session) -> None:
    await put_invoices(session, [(POLICY, a_put())], NOW)
    assert await reason(session, payment()) is Reason.BOOKED
    assert await race(database, session, cancellation("one"), cancellation("two")) is Reason.ALREADY_CANCELLED
    assert await open_capital(session) == 71000
    assert (await audit(session)).adds_up


async def test_the_database_itself_refuses_a_second_counter_entry(session: Session) -> None:
    await put_invoices(session, [(POLICY, a_put())], NOW)
    await settle(session, payment())
    await settle(session, cancellation())
    again = """
        INSERT INTO payments (company, idempotency_key, source, statusid, reason, amount, unfocused, currency, event_id,
            cancels, created_at, updated_at)
        SELECT company, 'again', source, statusid, reason, amount, unfocused, currency, event_id, cancels, created_at,
            updated_at
        FROM payments
        WHERE cancels IS NOT NULL"""
    with pytest.raises(ContendedError):
        async with session.connection() as connection:
            await connection.execute(again)
    with pytest.raises(asyncpg.CheckViolationError):
        async with session.connection() as connection:
            await connection.execute("UPDATE payments SET cancels = NULL WHERE cancels IS NOT NULL")


async def cancel(site: Site, key: str, payment: str, **properties: Any) -> dict[str, Any]:
    await site.pay(f'{{"payment": "{payment}"}}'.encode(), key=key, type=CANCEL.message_type, **properties)
    return (await site.event_of(key)).body


async def test_a_cancellation_restores_each_component_though_a_later_payment_came_between(site: Site) -> None:
    async with site.worker():
        await site.put(capital="100.00", interest="10.00", noticefee="5.00")
        await site.pay({"amount": "40.00"}, key="first")
        await site.pay({"amount": "75.00"}, key="second")
        assert [event.body["status"] for event in await site.events(2)] == ["OHISPAY", "OHISPAY"]
        told = await cancel(site, "cancellation", "first")
    assert (told["statusid"], told["reason"], told["source"]) == (11, "cancelled", "payment.cancel.v1")
    assert (told["amount"], told["unfocused"], told["invoicestate"]) == ("-40.00", "0.00", "OPEN")
    moved = ("focusedtocapital", "focusedtointerest", "focusedtonoticefee")
    assert [told[name] for name in moved] == ["-25.00", "-10.00", "-5.00"]
    after = ("capitalbefore", "capitalafter", "interestafter", "noticefeeafter")
    assert [told[name] for name in after] == ["0.00", "25.00", "10.00", "5.00"]
    first = await site.database.fetchval("SELECT id FROM payments WHERE idempotency_key = 'first'")
    assert told["cancels"] == {"payment_id": first, "idempotency_key": "first"}
    assert told["response"]["payment_id"] == first


async def test_a_cancellation_again_is_answered_and_changes_nothing(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay(key="payment")
        await site.next_event()
        done = await cancel(site, "cancellation", "payment")
        assert await cancel(site, "cancellation", "payment") == done
        other = await cancel(site, "another", "payment")
        await site.pay(key="payment")
        replayed = await site.event_of("payment")
    assert (other["statusid"], other["reason"], other["amount"]) == (11, "already_cancelled", "0.00")
    assert (replayed.replayed, replayed.body["status"]) == (True, "OHISPAY")
    assert await site.database.fetchval("SELECT capital_allocated FROM invoices") == 0


async def test_a_payment_that_is_awaiting_its_invoice_gets_its_last_event_when_it_is_cancelled(site: Site) -> None:
    await site.policy(await_invoice_s=3600)
    async with site.worker():
        await site.pay(key="payment")
        assert (await site.next_event()).body["status"] == "UNDONE"
        told = await cancel(site, "cancellation", "payment")
        assert (told["statusid"], told["reason"]) == (11, "payment_not_booked")
        last = (await site.event_of("payment")).body
        assert (last["statusid"], last["reason"]) == (11, "payment_cancelled")
        await site.put()
        await site.pay(key="other")
        assert (await site.event_of("other")).body["status"] == "OHISPAY"
        assert await site.database.fetchval("SELECT count(*) FROM pending") == 0


async def test_another_companys_payment_is_not_cancelled_and_is_told_as_the_company_wants(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay(key="payment")
        await site.next_event()
        told = await cancel(site, "foreign", "payment", company="other")
        assert (told["statusid"], told["reason"]) == (Status.DIFFCID, "payment_of_another_company")
        assert told["cancels"] == {"payment_id": None, "idempotency_key": "payment"}
        await site.policy("other", hide_foreign=True)
        hidden = await cancel(site, "hidden", "payment", company="other")
        assert (hidden["statusid"], hidden["reason"]) == (Status.NOT_FOUND, "payment_not_found")
    assert await site.database.fetchval("SELECT capital_allocated FROM invoices") == 71000


async def test_a_payment_and_its_cancellation_are_shown_with_each_other(site: Site) -> None:
    line = CommandLine(site.amqp_url, site.database_url)
    async with site.worker():
        await site.put()
        await site.pay(key="payment")
        await site.next_event()
        await cancel(site, "cancellation", "payment")
        await cancel(site, "early", "not yet there")
    payment = (await line.succeed("payments", "show", "payment", "--company", "acme", "--json")).json
    assert (payment["status"], payment["is_cancelled"], payment["cancelled_by"]) == ("OHISPAY", True, "cancellation")
    reversal = (await line.succeed("payments", "show", "cancellation", "--company", "acme", "--json")).json
    assert (reversal["amount"], reversal["cancels"], reversal["outcome"]["reason"]) == (
        "-710.00",
        "payment",
        "cancelled",
    )
    assert reversal["allocations"][0]["capital"] == "-710.00"
    awaited = (await line.succeed("payments", "show", "not yet there", "--company", "acme", "--json")).json
    assert (awaited["statusid"], awaited["is_cancelled"], awaited["outcome"]) == (11, True, None)
    await line.succeed("payments", "show", "not yet there", "--company", "acme")


async def test_the_database_itself_refuses_to_book_what_was_cancelled(session: Session) -> None:
    """Whoever writes: a worker of an earlier release knows nothing of the mark."""
    assert await reason(session, payment()) is Reason.INVOICE_NOT_FOUND
    assert await reason(session, cancellation()) is Reason.PAYMENT_NOT_BOOKED
    with pytest.raises(asyncpg.CheckViolationError, match="was cancelled"):
        async with session.connection() as connection:
            await connection.execute("UPDATE payments SET statusid = 6 WHERE idempotency_key = 'payment'")


async def test_counter_entries_are_of_the_day_on_which_they_are_made(site: Site) -> None:
    async with site.worker():
        await site.put()
        await site.pay(key="payment")
        await site.next_event()
        await site.policy(books_closed_until=date(2017, 12, 31))
        told = await cancel(site, "cancellation", "payment")
    assert (told["reason"], told["paydate"]) == ("cancelled", told["occurred_at"][:10])
    assert await site.database.fetchval("SELECT paydate FROM payments WHERE cancels IS NOT NULL") > date(2017, 12, 31)


async def test_a_cancellation_tells_nothing_of_an_invoice_that_is_owed_in_another_currency_by_now(site: Site) -> None:
    """The payment touched it with nothing, so it may be stated anew in any currency."""
    body = {"amount": "710.00", "lines": [{"billcode": "1234567"}, {"billcode": "left alone"}]}
    async with site.worker():
        await site.put()
        await site.put(billcode="left alone", capital="50.00")
        await site.publish("registration", body, key="payment", type="payment.register.v1")
        assert (await site.event_of("payment")).body["status"] == "OHISPAY"
        await site.put(billcode="left alone", capital="5000", currency="JPY", version=2)
        told = await cancel(site, "cancellation", "payment")
    assert (told["capitalbefore"], told["capitalafter"]) == ("0.00", "710.00")
    assert [line["capitalbefore"] for line in told["lines"]] == ["0.00", "0.00"]


async def test_what_the_message_says_besides_is_kept_with_the_payment_and_why_it_was_cancelled(site: Site) -> None:
    line = CommandLine(site.amqp_url, site.database_url)
    body = {"paymentMethod": 5, "chequeNumber": "17", "invoiceId": 156, "paidDate": "2018-07-24", "amountPaid": 10}
    async with site.worker():
        await site.put(jobid=156)
        await site.publish("registration", body, key="payment", type="ivvy.add-payment.v1")
        await site.next_event()
        await site.pay(b'{"payment": "payment", "reason": "bounced"}', key="cancellation", type=CANCEL.message_type)
        await site.next_event()
    shown = (await line.succeed("payments", "show", "payment", "--company", "acme", "--json")).json
    assert shown["details"] == {"chequeNumber": "17"}
    shown = (await line.succeed("payments", "show", "cancellation", "--company", "acme", "--json")).json
    assert shown["details"] == {"reason": "bounced"}
