"""What tests are about. What a test does not name is as in Ropo's published example: 710.00 EUR on one invoice."""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from schemas import catalog
from schemas.invalid import FieldError
from schemas.invoice import InvoicePut, InvoiceState
from schemas.registration import (
    AccountName,
    Cancellation,
    Defaults,
    Identifier,
    Line,
    Registration,
    WalletKind,
    WalletName,
)
from schemas.sources.cancel import CANCEL
from schemas.sources.ropo import ROPO
from worker.domain.allocation import NOTHING, Components
from worker.domain.fingerprint import fingerprint
from worker.domain.invoice import Invoice
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.settlement import Settled, Settlement, settle
from worker.domain.verdict import Reason
from worker.domain.view import Held, Moment, View
from worker.domain.wallet import Wallet

EXAMPLE: Mapping[str, Any] = {
    "amount": "710.00",
    "billcode": "1234567",
    "billnum": "R1234567",
    "paydate": "2017-10-10",
    "identifier": "insurance",
    "type": "directpayment",
    "creditnotebillnum": "26251",
    "description": "Payment received to the client bank account",
}
"""Ropo's published example body."""

COMPANY = "acme"
TODAY = date(2017, 10, 10)
DEFAULTS = Defaults("EUR", TODAY)
NOW = datetime(2017, 10, 10, 12, tzinfo=UTC)
BILLCODE = Identifier("billcode", "1234567")
BILLNUM = Identifier("billnum", "R1234567")


def body(**changes: object) -> bytes:
    """The example's body with these fields changed; one that is None is left out."""
    return json.dumps({name: value for name, value in {**EXAMPLE, **changes}.items() if value is not None}).encode()


def a_message(content: bytes | None = None, /, **properties: Any) -> Message:
    given = {"routing_key": f"registration.{COMPANY}", "message_id": "key-1"} | properties
    return Message(body=body() if content is None else content, **given)


def with_key(key: object) -> Message:
    return a_message(headers={catalog.KEY_HEADER: key})


def a_policy(**changes: Any) -> Policy:
    return replace(Policy(company=COMPANY, currency="EUR"), **changes)


def a_line(
    amount_minor: int | None = 71000, *identifiers: Identifier, references: Mapping[str, str] | None = None
) -> Line:
    return Line(identifiers=identifiers or (BILLCODE,), amount_minor=amount_minor, references=references or {})


def a_registration(*lines: Line, **changes: Any) -> Registration:
    plain = Registration(source=ROPO.message_type, currency="EUR", paydate=TODAY, lines=lines or (a_line(),))
    return replace(plain, **changes)


def an_invoice(
    capital: int = 71000,
    interest: int = 0,
    noticefee: int = 0,
    *,
    number: int = 1,
    names: Iterable[Identifier] = (BILLCODE, BILLNUM),
    allocated: Components = NOTHING,
    state: InvoiceState = "OPEN",
    currency: str = "EUR",
    company: str = COMPANY,
    version: int = 1,
    due: date | None = None,
    accounts: Iterable[AccountName] = (),
) -> Invoice:
    return Invoice(
        id=number,
        company=company,
        identifiers={name.kind: name.value for name in names},
        currency=currency,
        stated_state=state,
        version=version,
        stated=Components(capital, interest, noticefee),
        allocated=allocated,
        due_date=due,
        **{f"account_{account.kind}": account.value for account in accounts},
    )


def a_wallet(
    unconditional: int = 100000,
    conditional: int = 0,
    *,
    number: int = 1,
    names: Mapping[WalletKind, str] | None = None,
    drawn: int = 0,
    currency: str = "EUR",
    company: str = COMPANY,
) -> Wallet:
    return Wallet(
        id=number,
        company=company,
        names={"number": f"W{number}"} if names is None else names,
        currency=currency,
        version=1,
        unconditional=unconditional,
        conditional=conditional,
        drawn=drawn,
    )


def a_put(**changes: Any) -> InvoicePut:
    return InvoicePut.model_validate({"billcode": "1234567", "capital": "710.00", "version": 1} | changes)


def a_request(registration: Registration | None = None, key: str = "key-1", **changes: Any) -> Request:
    registration = registration or a_registration()
    plain = Request(
        company=COMPANY, key=key, source=ROPO, registration=registration, fingerprint=fingerprint(registration)
    )
    return replace(plain, **changes)


def an_invalid_request(key: str = "key-1", **changes: Any) -> Request:
    errors: tuple[FieldError, ...] = ({"field": "amount", "message": "must be a finite number"},)
    invalid: dict[str, Any] = {"registration": None, "fingerprint": None, "errors": errors}
    return replace(a_request(key=key), **invalid | changes)


def a_cancel(payment_key: str = "key-1", key: str = "cancel-1", *, why: str | None = None, **changes: Any) -> Request:
    """A request to cancel the payment of that key."""
    cancellation = Cancellation(source=CANCEL.message_type, payment_key=payment_key, why=why)
    plain = Request(
        company=COMPANY, key=key, source=CANCEL, cancellation=cancellation, fingerprint=fingerprint(cancellation)
    )
    return replace(plain, **changes)


def reasons(settlements: Iterable[Settlement]) -> list[Reason | str]:
    return [item.verdict.reason if isinstance(item, Settled) else "replayed" for item in settlements]


class Books:
    """The books in memory. Settles batches one after the other; each sees what the ones before it left."""

    def __init__(self, *invoices: Invoice, wallets: Sequence[Wallet] = (), policies: Sequence[Policy] = ()) -> None:
        self.policies = {policy.company: policy for policy in policies or (a_policy(),)}
        payment_ids = itertools.count(1)
        self._event_ids = (UUID(int=number) for number in itertools.count(1))
        names = [
            (invoice, Identifier(kind, value)) for invoice in invoices for kind, value in invoice.identifiers.items()
        ]
        named = {(invoice.company, name): invoice.id for invoice, name in names}
        self.view = View(
            held=defaultdict(lambda: Held(next(payment_ids))),
            invoices={invoice.id: invoice for invoice in invoices},
            named=named,
            foreign=frozenset((company, name) for company in self.policies for _, name in names).difference(named),
            wallets={wallet.id: wallet for wallet in wallets},
            wallets_named={
                (wallet.company, WalletName(kind, value)): wallet.id
                for wallet in wallets
                for kind, value in wallet.names.items()
            },
        )

    def settle(self, *requests: Request, now: datetime = NOW) -> list[Settlement]:
        self._look_up()
        event_ids = self._event_ids
        settlements, self.view = settle(requests, self.view, self.policies, Moment(now), lambda: next(event_ids))
        return settlements

    def settle_one(self, request: Request, now: datetime = NOW) -> Settled:
        (settlement,) = self.settle(request, now=now)
        assert isinstance(settlement, Settled)
        return settlement

    def _look_up(self) -> None:
        """Find out anew what a worker asks the database for at the beginning of a batch."""
        booked = [booking for name, booking in self.view.bookings.items() if not self.view.held[name].is_cancelled]
        self.view.twins = Counter(twin for booking in booked for twin in booking.twins)
        come = [name for name, held in self.view.held.items() if held.has_come]
        self.view.foreign_payments = frozenset(
            (company, key) for company in self.policies for other, key in come if other != company
        )

    def open(self, number: int = 1) -> Components:
        return self.view.invoices[number].open
