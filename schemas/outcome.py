"""`payment.outcome.v1`: what became of a registration.

Amounts are text with exactly the currency's digits. In every outcome amount = focused + unfocused.
"""

from enum import IntEnum
from typing import Annotated, Literal, NotRequired

from pydantic import Field, JsonValue
from typing_extensions import TypedDict

from schemas.invalid import FieldError
from schemas.invoice import InvoiceState
from schemas.registration import SettledBy

OUTCOME_TYPE = "payment.outcome.v1"


class Status(IntEnum):
    """What became of a registration. The numbers and names are Ropo's; there is no 7. Only OHISPAY is a success."""

    UNDONE = 0
    FAIL = 1
    OLD = 2
    ROPO = 3
    ROPO_REFUND = 4
    CLOSE = 5
    OHISPAY = 6
    IGNORE = 8
    DIFFCID = 9
    NOT_FOUND = 10
    CANCELLED = 11


StatusId = Literal[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
StatusName = Annotated[str, Field(json_schema_extra={"enum": [status.name for status in Status]})]
MoneyText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", examples=["710.00"])]
MovedText = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["710.00"])]
"""Below zero only in the outcome of a cancellation, which tells of counter-entries."""


class Breakdown(TypedDict):
    """How an amount was allocated: open before, open after, and what was focused to each component.

    before = focused + written off + after, for each component.
    """

    jobid: int | None
    billnum: str | None
    billcode: str | None
    capitalbefore: MoneyText
    capitalafter: MoneyText
    focusedtocapital: MovedText
    interestbefore: MoneyText
    interestafter: MoneyText
    focusedtointerest: MovedText
    noticefeebefore: MoneyText
    noticefeeafter: MoneyText
    focusedtonoticefee: MovedText
    unfocused: MovedText
    invoicestate: InvoiceState | None
    reference_number: NotRequired[str | None]
    back_office_code: NotRequired[str | None]
    external_id: NotRequired[str | None]
    writtenoffcapital: NotRequired[
        Annotated[MovedText, Field(description="Written off beside the payment: tolerance.")]
    ]
    writtenoffinterest: NotRequired[MovedText]
    writtenoffnoticefee: NotRequired[MovedText]


class Cancelled(TypedDict):
    """The payment that a cancellation names. It has no id where none is known under that key."""

    payment_id: int | None
    idempotency_key: str


class OutcomeLine(Breakdown):
    """One line of the payment: the same breakdown for its invoice, and the documents that it points at."""

    amount: MovedText
    references: dict[str, str]


class Outcome(Breakdown):
    """The event. Of one invoice, or summed over the lines where there are several."""

    event_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    occurred_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    company: str
    source: Annotated[str, Field(description="The message type that the registration came as.")]
    idempotency_key: str
    payment_id: Annotated[int, Field(description="The payment in the worker's books.")]
    statusid: Annotated[StatusId, Field(description="Only 6 is a success. There is no 7.")]
    status: StatusName
    reason: Annotated[str, Field(description="Why, for machines: stable words; new ones may be added.")]
    statustext: Annotated[str, Field(description="Why, for people.")]
    amount: MovedText
    currency: Annotated[str, Field(description="ISO 4217 code.")]
    paydate: Annotated[str, Field(json_schema_extra={"format": "date"})] | None
    settled_by: NotRequired[
        Annotated[SettledBy | None, Field(description="Money received, a write-off, or the funds of a wallet.")]
    ]
    surcharge: NotRequired[Annotated[MovedText, Field(description="Paid beside the amount, such as a card fee.")]]
    cancels: NotRequired[
        Annotated[Cancelled | None, Field(description="The payment named, where this tells of a cancellation.")]
    ]
    lines: list[OutcomeLine]
    response: Annotated[dict[str, JsonValue], Field(description="The answer in the source's own shape.")]
    errors: Annotated[list[FieldError], Field(description="What is wrong with an invalid registration.")]
