"""Ropo One, `ropo.payment.v1` (POST /jobs/payment): a payment made past the collector's settlement flow."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from schemas.fields import Date, IntegerId, Name, Text, WireModel, at_least_one_of
from schemas.money import Amount, to_minor, to_number
from schemas.outcome import Outcome, Status
from schemas.registration import Defaults, Identifier, IdentifierKind, Line, Registration
from schemas.sources.source import ResponseValue, Source

LOOKUP_ORDER: tuple[IdentifierKind, ...] = ("billcode", "jobid", "billnum")

_AMOUNTS = (
    "amount",
    "capitalbefore",
    "capitalafter",
    "focusedtocapital",
    "interestbefore",
    "interestafter",
    "focusedtointerest",
    "noticefeebefore",
    "noticefeeafter",
    "focusedtonoticefee",
    "unfocused",
)


class RopoPayment(WireModel):
    """The body as Ropo One takes it. Several identifiers may be given; the lookup order is billcode, jobid, billnum."""

    amount: Amount = Field(description="Amount of the payment, in the company's currency.")
    paydate: Date = Field(description="Date of payment.")
    billcode: Name | None = Field(default=None, description="Reference of the job; preferred.")
    jobid: IntegerId | None = Field(default=None, description="Id of the job.")
    billnum: Name | None = Field(default=None, description="Invoice number.")
    identifier: Name | None = Field(default=None, description='Payment targeting identifier, e.g. "insurance".')
    type: Name | None = Field(default=None, description='Payment type, e.g. "directpayment".')
    creditnotebillnum: Name | None = Field(default=None, description="Credit note's invoice number.")
    description: Text | None = Field(default=None, description="Free text.")

    model_config = ConfigDict(json_schema_extra=at_least_one_of(*LOOKUP_ORDER))

    @model_validator(mode="after")
    def _names_an_invoice(self) -> Self:
        if self.billcode is None and self.jobid is None and self.billnum is None:
            raise ValueError("needs one of billcode, jobid, billnum")
        return self


def to_registration(message: RopoPayment, defaults: Defaults) -> Registration:
    """Return the registration that the message asks for. Ropo names no currency: it is the company's."""
    given = ((kind, getattr(message, kind)) for kind in LOOKUP_ORDER)
    line = Line(
        identifiers=tuple(Identifier(kind, str(value)) for kind, value in given if value is not None),
        amount_minor=to_minor(message.amount, defaults.currency, "amount"),
        references={} if message.creditnotebillnum is None else {"creditnotebillnum": message.creditnotebillnum},
    )
    details = {"identifier": message.identifier, "description": message.description}
    return Registration(
        source=ROPO.message_type,
        currency=defaults.currency,
        states_currency=False,
        paydate=message.paydate,
        lines=(line,),
        payment_type=message.type,
        details={name: value for name, value in details.items() if value is not None},
    )


def response(outcome: Outcome, _message: RopoPayment | None) -> dict[str, ResponseValue]:
    """Return Ropo's answer: the breakdown with amounts as numbers, and what happened."""
    answer: dict[str, ResponseValue] = {
        "jobid": outcome["jobid"],
        "billnum": outcome["billnum"],
        "billcode": outcome["billcode"],
        "paydate": outcome["paydate"],
    }
    answer |= {name: to_number(outcome[name]) for name in _AMOUNTS}  # type: ignore[literal-required]
    return answer | {"statusid": outcome["statusid"], "statustext": _statustext(outcome)}


def _statustext(outcome: Outcome) -> str:
    """Ropo's published example says "Capital kirjattu" (Finnish: booked) of a payment that went to the capital."""
    if outcome["status"] != Status.OHISPAY.name:
        return outcome["statustext"]
    focused = {
        "Capital": outcome["focusedtocapital"],
        "Interest": outcome["focusedtointerest"],
        "Notice fee": outcome["focusedtonoticefee"],
    }
    return ", ".join(name for name, amount in focused.items() if to_number(amount)) + " kirjattu"


ROPO = Source(
    message_type="ropo.payment.v1",
    model=RopoPayment,
    key_field=None,
    meaning=to_registration,
    response=response,
)
