"""Invisible Collector, `invisible-collector.payment.v1` (POST /payments): one payment over one or more debts."""
# ruff: noqa: N815 - fields are named as Invisible Collector names them

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.fields import Date, Name, WireModel
from schemas.invalid import invalid
from schemas.limits import LINES_MAX
from schemas.money import Amount, Currency, to_minor, to_text
from schemas.outcome import Outcome, Status
from schemas.registration import Defaults, Identifier, Line, Registration
from schemas.sources.source import ResponseValue, Source

_TOTALS = ("netTotal", "tax", "grossTotal")

_ERROR_CODES = {
    "idempotency_conflict": HTTPStatus.CONFLICT,
    "invoice_not_found": HTTPStatus.NOT_FOUND,
    "invoice_of_another_company": HTTPStatus.NOT_FOUND,
    # While a debt is awaited it is still not found: the sender creates it, and either of them may try again.
    "invoice_awaited": HTTPStatus.NOT_FOUND,
}
"""By the outcome's reason; any other refusal is of a payment that is well-formed but not valid."""


class PaymentLine(WireModel):
    """A part of the payment that goes to one debt. The same debt may stand on several lines."""

    number: Name = Field(description="The debt's number.")
    referenceNumber: Name | None = Field(default=None, description="A credit or debit note that is linked.")
    amount: Amount = Field(description="Deducted from this debt.")


class InvisibleCollectorPayment(WireModel):
    """The body as Invisible Collector takes it."""

    number: Name = Field(description="Identifies the payment; the idempotency key, unless a header names another.")
    externalId: Name | None = Field(default=None, description="The payment's id elsewhere.")
    status: Literal["FINAL", "CANCELLED"] = Field(
        default="FINAL", description="One that comes as CANCELLED is stored and changes no balance."
    )
    type: Name = Field(description='Payment type, e.g. "RG".')
    date: Date = Field(description="Date of payment.")
    netTotal: Amount | None = Field(default=None, description="Without tax.")
    tax: Amount | None = Field(default=None, description="grossTotal = netTotal + tax.")
    grossTotal: Amount | None = Field(default=None, description="The lines' amounts add up to it.")
    currency: Currency
    lines: Annotated[list[PaymentLine], Field(min_length=1, max_length=LINES_MAX, description="The debts being paid.")]


def to_registration(message: InvisibleCollectorPayment, _defaults: Defaults) -> Registration:
    """Return the registration that the message asks for. Raises InvalidMessageError where the totals do not agree."""
    currency = message.currency
    amounts_minor = [to_minor(line.amount, currency, f"lines.{i}.amount") for i, line in enumerate(message.lines)]
    given = {name: getattr(message, name) for name in _TOTALS}
    totals_minor = {name: to_minor(total, currency, name) for name, total in given.items() if total is not None}
    _check_totals(totals_minor, sum(amounts_minor))
    # The number too: a header may name another key, and a payment of another number is another payment.
    details = {"number": message.number, "externalId": message.externalId}
    details |= {name: to_text(total, currency) for name, total in totals_minor.items()}
    return Registration(
        source=INVISIBLE_COLLECTOR.message_type,
        currency=currency,
        paydate=message.date,
        lines=tuple(_line(*each) for each in zip(message.lines, amounts_minor, strict=True)),
        payment_type=message.type,
        is_cancelled=message.status == "CANCELLED",
        details=_given(details),
    )


def _line(line: PaymentLine, amount_minor: int) -> Line:
    return Line(
        identifiers=(Identifier("billnum", line.number),),
        amount_minor=amount_minor,
        references=_given({"referenceNumber": line.referenceNumber}),
    )


def _check_totals(totals_minor: dict[str, int], lines_minor: int) -> None:
    """Compare the totals as far as they are given. Minor units are integers, so they agree exactly or not at all."""
    gross = totals_minor.get("grossTotal")
    net_and_tax = totals_minor["netTotal"] + totals_minor["tax"] if {"netTotal", "tax"} <= totals_minor.keys() else None
    if gross is not None and net_and_tax is not None and gross != net_and_tax:
        raise invalid("grossTotal", "is not netTotal + tax")
    total = gross if gross is not None else net_and_tax
    if total is not None and total != lines_minor:
        raise invalid("grossTotal", "(or else netTotal + tax) is not the sum of the lines' amounts")


def response(outcome: Outcome, message: InvisibleCollectorPayment | None) -> dict[str, ResponseValue]:
    """Return Invisible Collector's answer: the payment as it now holds it, or an error as its clients read it."""
    if message is not None and _is_stored(outcome, message):
        return _as_stored(message)
    code = _ERROR_CODES.get(outcome["reason"], HTTPStatus.UNPROCESSABLE_ENTITY)
    error: dict[str, ResponseValue] = {"code": code.value, "message": outcome["statustext"]}
    # To its clients an error is a conflict just where it names a gid: the payment held.
    return error | {"gid": str(outcome["payment_id"])} if code is HTTPStatus.CONFLICT else error


def _is_stored(outcome: Outcome, message: InvisibleCollectorPayment) -> bool:
    if outcome["status"] == Status.OHISPAY.name:
        return True
    return message.status == "CANCELLED" and outcome["reason"] == "payment_cancelled"


def _as_stored(message: InvisibleCollectorPayment) -> dict[str, ResponseValue]:
    return _given(
        {
            "number": message.number,
            "externalId": message.externalId,
            "status": message.status,
            "type": message.type,
            "date": message.date.isoformat(),
            **{name: _with_all_digits(getattr(message, name), message.currency) for name in _TOTALS},
            "currency": message.currency,
            "lines": [
                _given(
                    {
                        "number": line.number,
                        "referenceNumber": line.referenceNumber,
                        "amount": _with_all_digits(line.amount, message.currency),
                    }
                )
                for line in message.lines
            ],
        }
    )


def _with_all_digits(amount: Decimal | None, currency: str) -> Decimal | None:
    """Return the amount with exactly the currency's digits: 25 EUR is 25.00."""
    return None if amount is None else Decimal(to_text(to_minor(amount, currency, "amount"), currency))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


INVISIBLE_COLLECTOR = Source(
    message_type="invisible-collector.payment.v1",
    model=InvisibleCollectorPayment,
    key_field="number",
    meaning=to_registration,
    response=response,
)
