"""Sound books of all that is not plain money: cancellations, tolerance, write-offs, surcharges and wallets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from schemas.codec import parse
from schemas.wallet import WalletPut
from tests.builders import a_message
from tests.integration.audited_books import NOW, Books, invoice, opened
from tests.places import Database
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request
from worker.domain.settlement import Replayed

ACME = Policy(company="acme", currency="EUR", tolerance_minor=500, tolerance_percent=Decimal(10))
OTHER = Policy(company="other", currency="EUR")


def wallet(company: str, number: str, unconditional: str, **fields: object) -> tuple[str, WalletPut]:
    put = {"number": number, "unconditional": unconditional, "version": 1} | fields
    return company, parse(WalletPut, put)


def pay(key: str, *lines: tuple[str, str], policy: Policy = ACME, **said: object) -> Request:
    """Return a payment on lines of (billcode, amount)."""
    told = [{"billcode": billcode, "amount": amount} for billcode, amount in lines]
    return asked("payment.register.v1", key, {"lines": told, "paydate": "2017-10-10"} | said, policy)


def cancel(payment: str, key: str | None = None, policy: Policy = ACME, **said: object) -> Request:
    return asked("payment.cancel.v1", key or f"cancel-{payment}", {"payment": payment} | said, policy)


def asked(message_type: str, key: str, said: dict[str, object], policy: Policy) -> Request:
    message = a_message(
        json.dumps(said).encode(), routing_key=f"registration.{policy.company}", message_id=key, type=message_type
    )
    return read_request(message, policy, NOW.date())


BATCHES = (
    [
        (pay("part", ("part", "100.00")), "booked"),
        (pay("over", ("over", "100.00"), surcharge={"amount": "1.50"}), "booked"),
        (pay("short", ("short", "76.00")), "booked"),
        (pay("short-kept", ("small", "38.00"), ("back", "0.00")), "booked"),
        (pay("drawn", ("drawn", "50.00"), wallet={"number": "W1"}), "booked"),
        (pay("drawn-kept", ("part", "30.00"), wallet={"number": "W1"}), "booked"),
        (pay("bad", ("bad", "20.00"), settled_by="write_off"), "booked"),
        (pay("bad-kept", ("bad", "15.00"), settled_by="write_off"), "booked"),
        (pay("two", ("part", "10.00"), ("back", "30.00"), ("back", "40.00"), wallet={"number": "W2"}), "booked"),
        (pay("unknown", ("nowhere", "7.00")), "invoice_not_found"),
        (pay("void", ("part", "1.00"), status="CANCELLED"), "payment_cancelled"),
        (pay("foreign", ("foreign", "10.00"), policy=OTHER), "booked"),
        (cancel("early"), "payment_not_found"),
        (cancel("never"), "payment_not_found"),
    ],
    [
        (pay("early", ("part", "3.00")), "payment_cancelled"),
        (cancel("over"), "cancelled"),
        (cancel("short"), "cancelled"),
        (cancel("drawn"), "cancelled"),
        (cancel("bad"), "cancelled"),
        (cancel("two"), "cancelled"),
        (cancel("unknown"), "payment_not_booked"),
        (cancel("unknown"), "payment_not_booked"),
        (cancel("over", "again"), "already_cancelled"),
        (cancel("part", "cancel-over"), "idempotency_conflict"),
        (cancel("short", reason=None), "replayed"),
        (cancel("cancel-over"), "payment_is_cancellation"),
        (cancel("part", policy=OTHER), "payment_of_another_company"),
        (pay("brief", ("over", "10.00")), "booked"),
        (cancel("brief"), "cancelled"),
        (pay("over-again", ("over", "90.00")), "booked"),
    ],
    # What had been paid on this invoice, and drawn on this wallet, was given back: they may change their currency.
    [(pay("dollars", ("back", "40.00"), wallet={"number": "W2"}, currency="USD"), "booked")],
)
"""What workers are asked, batch by batch, and the reason of their answer."""


@asynccontextmanager
async def cancelled_books(database: Database) -> AsyncIterator[Books]:
    """Give the block what came of BATCHES."""
    async with opened(database, [ACME, OTHER]) as books:
        await books.put(
            invoice("acme", "part", "500.00", interest="12.50", noticefee="5.00"),
            *(invoice("acme", billcode, "80.00") for billcode in ("over", "short", "drawn", "bad", "back")),
            invoice("acme", "small", "40.00"),
            invoice("other", "foreign", "80.00"),
        )
        await books.put_wallets(
            wallet("acme", "W1", "200.00"), wallet("acme", "W2", "80.00"), wallet("other", "W1", "90.00")
        )
        for batch in BATCHES:
            if batch is BATCHES[-1]:
                await books.put(invoice("acme", "back", "90.00", version=2, currency="USD"))
                await books.put_wallets(wallet("acme", "W2", "95.00", version=2, currency="USD"))
            settlements = await books.settle(*(request for request, _ in batch))
            reasons = ["replayed" if isinstance(each, Replayed) else each.verdict.reason.value for each in settlements]
            assert reasons == [reason for _, reason in batch]
        yield books
