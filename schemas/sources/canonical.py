"""`payment.register.v1`: a payment in the worker's own words, which can say all that the source systems can."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import InitErrorDetails

from schemas.fields import Date, Name, OneOf, Text, WireModel, at_least_one_of, storable
from schemas.invalid import invalid
from schemas.invoice import AccountIdentifier, NamedInvoice
from schemas.limits import DETAILS_MAX, IDENTIFIER_CHARS_MAX, LINES_MAX, TEXT_CHARS_MAX
from schemas.money import Amount, Currency, Percent, read_amount, to_minor, to_number
from schemas.orders import AllocationOrder, Distribution
from schemas.outcome import Outcome, OutcomeLine
from schemas.registration import AccountName, Defaults, Line, Registration, WalletName
from schemas.sources.source import ResponseValue, Source
from schemas.wallet import WalletIdentifier

_LINE_AMOUNTS = ("amount", "focusedtocapital", "focusedtointerest", "focusedtonoticefee", "unfocused")


def _read_texts(value: object) -> dict[str, str]:
    """Return the texts by name, without those that are null or empty. A name is never told: it is the sender's."""
    if not isinstance(value, dict) or len(value) > DETAILS_MAX:
        raise ValueError(f"must be a JSON object of at most {DETAILS_MAX} entries")
    for name, text in value.items():
        if not 0 < len(name) <= IDENTIFIER_CHARS_MAX:
            raise ValueError(f"has a name that is not 1 to {IDENTIFIER_CHARS_MAX} characters long")
        if text is not None and (not isinstance(text, str) or len(text) > TEXT_CHARS_MAX):
            raise ValueError(f"has an entry that is no text of at most {TEXT_CHARS_MAX} characters")
        storable(name + (text or ""))
    return {name: text for name, text in value.items() if text}


Texts = Annotated[
    dict[str, str],
    PlainValidator(_read_texts),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": DETAILS_MAX,
            "propertyNames": {"minLength": 1, "maxLength": IDENTIFIER_CHARS_MAX},
            "additionalProperties": {"type": ["string", "null"], "maxLength": TEXT_CHARS_MAX},
        }
    ),
]
"""Texts of the sender's own, by name."""


def _read_amount_or_all(value: object) -> Decimal | str:
    return "all" if value == "all" else read_amount(value)


AmountOrAll = Annotated[
    Decimal | Literal["all"],
    PlainValidator(_read_amount_or_all, json_schema_input_type=Amount | Literal["all"]),
]
"""An amount, or all that is open on the line's invoice."""


class PaymentLine(NamedInvoice):
    """A part of the payment that goes to one invoice. The same invoice may stand on several lines."""

    amount: AmountOrAll | None = Field(default=None, description="Where absent, a share of the payment's amount.")
    references: Texts = Field(default={}, description="Documents that the line points at, by what they are.")


class Surcharge(OneOf):
    """What the payer paid beside the amount, such as a card fee. It pays no part of an invoice."""

    amount: Amount | None = None
    percent: Percent | None = Field(default=None, description="Of the whole amount.")


def _where(name: str, schema: JsonDict) -> JsonDict:
    return {"required": [name], "properties": {name: schema}}


_OBJECT: JsonDict = {"type": "object"}
_DESCRIBED = at_least_one_of("description")
_NONE_PAYS_ALL: JsonDict = {"properties": {"lines": {"items": {"not": _where("amount", {"const": "all"})}}}}
_EACH_NAMES_ONE: JsonDict = {"properties": {"lines": {"items": at_least_one_of("amount")}}}
_RULES: JsonDict = {
    "allOf": [
        {"if": at_least_one_of("amount"), "then": _NONE_PAYS_ALL, "else": _EACH_NAMES_ONE},
        {"not": {"allOf": [at_least_one_of("wallet"), _where("settled_by", {"const": "write_off"})]}},
        {"not": {"allOf": [_DESCRIBED, _where("details", _OBJECT | _DESCRIBED)]}},
    ]
}
"""What a JSON Schema can say of _contradictions(); sums it cannot."""


class PaymentRegister(WireModel):
    """A payment over one or more invoices: all its lines are booked, or none."""

    lines: Annotated[list[PaymentLine], Field(min_length=1, max_length=LINES_MAX)]
    amount: Amount | None = Field(default=None, description="The whole. Lines that name no amount share the rest.")
    currency: Currency | None = Field(default=None, description="The company's currency where absent.")
    paydate: Date | None = Field(default=None, description="Date of payment; the day of its processing where absent.")
    type: Name | None = Field(default=None, description="Payment type, as the company's rules name it.")
    method: Name | None = Field(default=None, description="Payment method, likewise.")
    account: AccountIdentifier | None = Field(default=None, description="The invoices must belong to it.")
    wallet: WalletIdentifier | None = Field(default=None, description="Pays, from its unconditional funds.")
    settled_by: Literal["money", "write_off"] = Field(default="money", description="write_off: no money was received.")
    surcharge: Surcharge | None = None
    status: Literal["FINAL", "CANCELLED"] = Field(default="FINAL", description="CANCELLED: it changes no balance.")
    allocation: AllocationOrder | None = Field(default=None, description="The company's where absent.")
    distribution: Distribution | None = Field(default=None, description="The company's where absent.")
    overpayment: Literal["keep", "reject"] | None = Field(default=None, description="keep: as the company has it.")
    description: Text | None = Field(default=None, description="Free text.")
    details: Texts = Field(default={}, description="All else that is to be kept with the payment.")

    model_config = ConfigDict(json_schema_extra=_RULES)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        wrong = [
            InitErrorDetails(type="value_error", loc=field, input=None, ctx={"error": message})
            for field, message in self._contradictions()
        ]
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self

    def _contradictions(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield each field that does not fit the others, and why."""
        for number, line in enumerate(self.lines):
            if line.amount is None and self.amount is None:
                yield ("lines", number, "amount"), "is needed where the payment has no amount to share"
            if line.amount == "all" and self.amount is not None:
                yield ("lines", number, "amount"), "must not be all where the payment has an amount"
        if self.wallet is not None and self.settled_by == "write_off":
            yield ("settled_by",), "must not be write_off where a wallet pays"
        if self.description is not None and "description" in self.details:
            yield ("details",), "must not hold a description beside the field of that name"


def to_registration(message: PaymentRegister, defaults: Defaults) -> Registration:
    """Return the registration that the message asks for. Raises InvalidMessageError where its amounts do not add up."""
    currency = message.currency or defaults.currency
    lines = tuple(_line(line, currency, f"lines.{number}") for number, line in enumerate(message.lines))
    named_minor = sum(line.amount_minor or 0 for line in lines)
    shares = message.amount is not None and any(line.amount_minor is None for line in lines)
    surcharge = message.surcharge or Surcharge.model_construct()
    total_minor = None if message.amount is None else to_minor(message.amount, currency, "amount")
    if total_minor is not None and (named_minor > total_minor or (named_minor < total_minor and not shares)):
        raise invalid("amount", "is less than the lines name" if shares else "is not the sum of what the lines name")
    return Registration(
        source=CANONICAL.message_type,
        currency=currency,
        states_currency=message.currency is not None,
        paydate=message.paydate or defaults.today,
        states_paydate=message.paydate is not None,
        lines=lines,
        total_minor=total_minor if shares else None,
        payment_type=message.type,
        method=message.method,
        account=AccountName(*message.account.only()) if message.account is not None else None,
        wallet=WalletName(*message.wallet.only()) if message.wallet is not None else None,
        is_write_off=message.settled_by == "write_off",
        surcharge_minor=to_minor(surcharge.amount, currency, "surcharge.amount") if surcharge.amount is not None else 0,
        surcharge_percent=surcharge.percent,
        is_cancelled=message.status == "CANCELLED",
        refuses_overpayment=message.overpayment == "reject",
        allocation=message.allocation,
        distribution=message.distribution,
        details=message.details | ({"description": message.description} if message.description is not None else {}),
    )


def _line(line: PaymentLine, currency: str, field: str) -> Line:
    amount_minor = to_minor(line.amount, currency, f"{field}.amount") if isinstance(line.amount, Decimal) else None
    return Line(identifiers=line.identifiers(), amount_minor=amount_minor, references=line.references)


def response(outcome: Outcome, _message: PaymentRegister | None) -> dict[str, ResponseValue]:
    """Return what became of the payment, as a whole and line by line, with amounts as numbers."""
    return {
        "statusid": outcome["statusid"],
        "status": outcome["status"],
        "reason": outcome["reason"],
        "statustext": outcome["statustext"],
        "payment_id": outcome["payment_id"],
        "amount": to_number(outcome["amount"]),
        "currency": outcome["currency"],
        "unfocused": to_number(outcome["unfocused"]),
        "settled_by": outcome.get("settled_by"),
        "lines": [_told(line) for line in outcome["lines"]],
    }


def _told(line: OutcomeLine) -> dict[str, ResponseValue]:
    told: dict[str, ResponseValue] = {"jobid": line["jobid"], "billnum": line["billnum"], "billcode": line["billcode"]}
    told |= {name: to_number(line[name]) for name in _LINE_AMOUNTS}  # type: ignore[literal-required]
    return told | {"invoicestate": line["invoicestate"]}


CANONICAL = Source(
    message_type="payment.register.v1",
    model=PaymentRegister,
    key_field=None,
    meaning=to_registration,
    response=response,
)
