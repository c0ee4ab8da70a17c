"""What goes in at the demo, and what has to come out."""

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

from pamqp.commands import Basic

from schemas import catalog
from schemas.codec import encode, read_json
from schemas.outcome import Status
from worker.broker.publisher import PERSISTENT, Publication
from worker.domain.errors import DeadLetterReason
from worker.domain.verdict import Reason

CURRENCY: Final = "EUR"
_EXAMPLES = files("schemas") / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A registration and what is expected of it. `focused` is of capital, interest and notice fee."""

    title: str
    key: str
    body: bytes
    status: Status | None = None
    """None where only a dead letter comes."""
    reason: Reason | DeadLetterReason
    focused: tuple[str, str, str] = ("0.00", "0.00", "0.00")
    unfocused: str = "0.00"
    repeats: bool = False
    """True where the answer is the first payment's event once more."""


def invoices() -> list[dict[str, Any]]:
    """Return the bodies of invoice.put.v1: first Ropo's published job, then three of our own."""
    owed = {"currency": CURRENCY, "version": 1}
    return [
        _object(_example(catalog.INVOICE_PUT, "published-job")),
        {"billcode": "1002", "capital": "500.00", "interest": "12.50", "noticefee": "5.00", **owed},
        {"billcode": "1003", "capital": "80.00", **owed},
        {"billcode": "1004", "capital": "60.00", "state": "CLOSED", **owed},
    ]


def payments(unknown: str) -> dict[int, Payment]:
    """Return what an upstream publishes, numbered from 1. `unknown` is the billcode of no invoice."""
    first = Payment(
        title="Ropo One's published example",
        key="bank-1",
        body=_example(catalog.DEFAULT_TYPE, "published"),
        status=Status.OHISPAY,
        reason=Reason.BOOKED,
        focused=("710.00", "0.00", "0.00"),
    )
    told = [
        first,
        Payment(
            title="A part: fee and interest first",
            key="bank-2",
            body=_body("1002", "100.00"),
            status=Status.OHISPAY,
            reason=Reason.BOOKED,
            focused=("82.50", "12.50", "5.00"),
        ),
        Payment(
            title="More than is open, rest kept",
            key="bank-3",
            body=_body("1003", "100.00"),
            status=Status.OHISPAY,
            reason=Reason.BOOKED,
            focused=("80.00", "0.00", "0.00"),
            unfocused="20.00",
        ),
        _unbooked("The invoice is closed", "bank-4", "1004", Status.CLOSE, Reason.INVOICE_CLOSED),
        _unbooked("Nobody knows the invoice", "bank-5", unknown, Status.NOT_FOUND, Reason.INVOICE_NOT_FOUND),
        _unbooked("Dated in the future", "bank-6", "1002", Status.UNDONE, Reason.PAYDATE_IN_FUTURE, "2099-12-31"),
        replace(first, title="The first once more", repeats=True),
        Payment(
            title="Its key, another amount",
            key=first.key,
            body=encode({**_object(first.body), "amount": "71.00"}),
            status=Status.FAIL,
            reason=Reason.IDEMPOTENCY_CONFLICT,
            unfocused="71.00",
        ),
        Payment(
            title="Cut off on its way: no JSON",
            key="bank-7",
            body=first.body[:19],
            reason=DeadLetterReason.MALFORMED_JSON,
        ),
    ]
    return dict(enumerate(told, start=1))


def invoice_publication(company: str, number: int, body: dict[str, Any]) -> Publication:
    """Return the message that states an invoice."""
    properties = Basic.Properties(
        message_id=f"{company}-invoice-{number}",
        message_type=catalog.INVOICE_PUT,
        content_type=catalog.CONTENT_TYPE,
        delivery_mode=PERSISTENT,
    )
    return Publication(catalog.PAYMENTS, catalog.routing_key(catalog.INVOICE_PUT, company), encode(body), properties)


def payment_publication(company: str, number: int, payment: Payment) -> Publication:
    """Return the message that registers a payment. Its correlation id is its number."""
    properties = Basic.Properties(
        message_id=payment.key,
        message_type=catalog.DEFAULT_TYPE,
        content_type=catalog.CONTENT_TYPE,
        correlation_id=str(number),
        delivery_mode=PERSISTENT,
    )
    return Publication(catalog.PAYMENTS, catalog.routing_key(catalog.DEFAULT_TYPE, company), payment.body, properties)


def _unbooked(
    title: str, key: str, billcode: str, status: Status, reason: Reason, paydate: str = "2017-10-11"
) -> Payment:
    body = _body(billcode, "25.00", paydate)
    return Payment(title=title, key=key, body=body, status=status, reason=reason, unfocused="25.00")


def _body(billcode: str, amount: str, paydate: str = "2017-10-11") -> bytes:
    return encode({"amount": amount, "billcode": billcode, "paydate": paydate})


def _example(message_type: str, name: str) -> bytes:
    return (_EXAMPLES / message_type / f"{name}.json").read_bytes().strip()


def _object(body: bytes) -> dict[str, Any]:
    value = read_json(body)
    if not isinstance(value, dict):
        raise TypeError("the example is no JSON object")
    return value
