"""What goes in at the demo, and what has to come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Final

from pamqp.commands import Basic

from schemas import catalog
from schemas.codec import encode, read_json
from schemas.outcome import Status
from schemas.registration import IDENTIFIER_KINDS, Identifier
from schemas.sources.cancel import CANCEL
from schemas.sources.crm_com import CRM_COM
from schemas.sources.invisible_collector import INVISIBLE_COLLECTOR
from schemas.sources.ivvy import IVVY
from worker.broker.properties import PERSISTENT
from worker.broker.publication import Publication
from worker.domain.errors import DeadLetterReason
from worker.domain.verdict import Reason

CURRENCY: Final = "EUR"
PUBLISHED: Final = {1: "Ropo One", 2: "iVvy", 3: "Invisible Collector", 4: "CRM.COM"}
"""Payment to the system whose published example it is."""
PART: Final = 5
"""The payment that is cancelled in the end."""
PART_KEY: Final = "bank-5"
PART_INVOICE: Final = Identifier("billcode", "1002")
_EXAMPLES = files("schemas") / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A registration or a cancellation, and what is expected of it: to be booked, where nothing else is said."""

    title: str
    message_type: str = catalog.DEFAULT_TYPE
    key: str
    body: bytes
    status: Status | None = Status.OHISPAY
    """None where only a dead letter comes."""
    reason: Reason | DeadLetterReason = Reason.BOOKED
    focused: tuple[str, str, str] = ("0.00", "0.00", "0.00")
    """Of capital, interest and notice fee."""
    unfocused: str = "0.00"
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the event has to tell besides; the source's own answer is its response."""
    repeats: bool = False
    """True where the answer is the first payment's event once more."""


def invoices() -> list[dict[str, Any]]:
    """Return the bodies of invoice.put.v1: first what the published examples pay, then three of our own."""
    owed = {"currency": CURRENCY, "version": 1}
    return [
        _object(_example(catalog.INVOICE_PUT, "published-job")),
        {"jobid": 156, "capital": "10.00", **owed},
        {"billnum": "FT TEST/001", "capital": "30.75", **owed},
        {"reference_number": "328", "account": {"number": "192"}, "capital": "225.00", **owed},
        {PART_INVOICE.kind: PART_INVOICE.value, "capital": "500.00", "interest": "12.50", "noticefee": "5.00", **owed},
        {"billcode": "1003", "capital": "80.00", **owed},
        {"billcode": "1004", "capital": "60.00", "state": "CLOSED", **owed},
    ]


def named(invoice: Mapping[str, Any]) -> Identifier:
    """Return the first name that the body of an invoice.put.v1 gives."""
    return next(Identifier(kind, str(invoice[kind])) for kind in IDENTIFIER_KINDS if kind in invoice)


def payments(unknown: str) -> dict[int, Payment]:
    """Return what upstreams publish, numbered from 1, in their order. `unknown` is the billcode of no invoice."""
    published = _published()
    first = published[0]
    all_of_them = [
        *published,
        Payment(
            title="A part: fee and interest first",
            key=PART_KEY,
            body=_body(PART_INVOICE.value, "100.00"),
            focused=("82.50", "12.50", "5.00"),
        ),
        Payment(
            title="More than is open, rest kept",
            key="bank-6",
            body=_body("1003", "100.00"),
            focused=("80.00", "0.00", "0.00"),
            unfocused="20.00",
        ),
        _unbooked("The invoice is closed", "bank-7", "1004", Status.CLOSE, Reason.INVOICE_CLOSED),
        _unbooked("Nobody knows the invoice", "bank-8", unknown, Status.NOT_FOUND, Reason.INVOICE_NOT_FOUND),
        _unbooked("Dated 2099: not due yet", "bank-9", "1002", Status.UNDONE, Reason.PAYDATE_IN_FUTURE, "2099-12-31"),
        replace(first, title="Payment 1 once more", repeats=True),
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
            key="bank-12",
            body=first.body[:19],
            status=None,
            reason=DeadLetterReason.MALFORMED_JSON,
        ),
        Payment(
            title=f"Cancels payment {PART}",
            message_type=CANCEL.message_type,
            key="bank-13",
            body=encode({"payment": PART_KEY}),
            status=Status.CANCELLED,
            reason=Reason.CANCELLED,
            focused=("-82.50", "-12.50", "-5.00"),
            told={"amount": "-100.00", "cancels": {"idempotency_key": PART_KEY}, "invoicestate": "OPEN"},
        ),
    ]
    return dict(enumerate(all_of_them, start=1))


def _published() -> list[Payment]:
    """Return the example that each source system publishes."""
    two_lines = _example(INVISIBLE_COLLECTOR.message_type, "published")
    return [
        Payment(
            title="Published example",
            key="bank-1",
            body=_example(catalog.DEFAULT_TYPE, "published"),
            focused=("710.00", "0.00", "0.00"),
            told={"response": {"focusedtocapital": 710, "statusid": 6, "statustext": "Capital kirjattu"}},
        ),
        Payment(
            title="Published: a fee of 10 percent",
            message_type=IVVY.message_type,
            key="bank-2",
            body=_example(IVVY.message_type, "published"),
            focused=("10.00", "0.00", "0.00"),
            told={"jobid": 156, "surcharge": "1.00", "response": {"Success": True}},
        ),
        Payment(
            title="Published: two lines, one debt",
            message_type=INVISIBLE_COLLECTOR.message_type,
            key="RG TEST/001",  # the payment's own number
            body=two_lines,
            focused=("30.75", "0.00", "0.00"),
            told={"lines": [{"amount": "10.75"}, {"amount": "20.00"}], "response": _object(two_lines)},
        ),
        Payment(
            title="Published: all that is open",
            message_type=CRM_COM.message_type,
            key="bank-4",
            body=_example(CRM_COM.message_type, "published-account-number"),
            focused=("225.00", "0.00", "0.00"),
            told={
                "response": {"status": {"code": "OK"}, "data": {"payment_amount": 225, "life_cycle_state": "POSTED"}}
            },
        ),
    ]


def invoice_publication(company: str, number: int, body: dict[str, Any]) -> Publication:
    """Return the message that states an invoice."""
    return _publication(catalog.INVOICE_PUT, company, encode(body), f"{company}-invoice-{number}")


def payment_publication(company: str, number: int, payment: Payment) -> Publication:
    """Return the message that registers or cancels a payment. Its correlation id is its number."""
    return _publication(payment.message_type, company, payment.body, payment.key, correlation_id=str(number))


def _publication(
    message_type: str, company: str, body: bytes, message_id: str, correlation_id: str | None = None
) -> Publication:
    properties = Basic.Properties(
        message_type=message_type,
        message_id=message_id,
        correlation_id=correlation_id,
        content_type=catalog.CONTENT_TYPE,
        delivery_mode=PERSISTENT,
    )
    return Publication(catalog.PAYMENTS, catalog.routing_key(message_type, company), body, properties)


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
