"""iVvy, `ivvy.add-payment.v1` (invoice?action=addPayment): a payment of one invoice, never more than is open on it."""
# ruff: noqa: N815 - fields are named as iVvy names them

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict, JsonValue

from schemas.fields import DateTime, IntegerId, Name, WireModel, at_least_one_of
from schemas.invalid import FieldError
from schemas.limits import INTEGER_DIGITS_MAX
from schemas.money import Amount, Percent, plain_text, to_minor
from schemas.outcome import Outcome, Status
from schemas.registration import Defaults, Identifier, Line, Registration
from schemas.sources.source import ResponseValue, Source

PAYMENT_METHODS: Final[Mapping[int, str]] = {
    0: "Unknown",
    1: "Credit Card",
    2: "BPay",
    3: "Direct Deposit",
    4: "PayPal",
    5: "Cheque",
    6: "Cash",
    8: "Accounts Receivable",
    9: "EFTPOS",
    10: "WriteOff",
    11: "Point of Sale",
    12: "Wire Transfer",
    13: "Custom",
}
"""Numbers and names as iVvy publishes them; there is no 7. The name is the payment's type in a company's rules."""
CARD_TYPES: Final[Mapping[int, str]] = {0: "Unknown", 1: "Visa", 2: "Master Card", 3: "Amex", 4: "Diners"}
_CARDS_BY_NAME = {name.lower(): number for number, name in CARD_TYPES.items()}
_WRITE_OFF = 10
_NEEDED_BY = {"cardType": 1, "chequeNumber": 5, "customPaymentMethodId": 13}
"""Field to the payment method that needs it. With any other method it may be given or not."""


class ErrorCode(IntEnum):
    """iVvy's own numbers."""

    EMPTY_REQUEST = 24235
    INVALID_PAYMENT_METHOD = 24236
    FIELD_NOT_ALLOWED = 24237
    INVOICE_NOT_FOUND = 24238
    INVALID_DETAILS = 24239
    UNKNOWN_ERROR = 24240


_ERROR_CODES = {
    "invoice_not_found": ErrorCode.INVOICE_NOT_FOUND,
    "invoice_of_another_company": ErrorCode.INVOICE_NOT_FOUND,
    "gateway_charge_unsupported": ErrorCode.FIELD_NOT_ALLOWED,
}
"""By the outcome's reason; any other refusal is about the payment's details."""


def _named(listed: Mapping[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in listed.items())


def _one_of(listed: Mapping[int, str]) -> AfterValidator:
    def check(number: int) -> int:
        if number not in listed:
            raise ValueError(f"must be one of {_named(listed)}")
        return number

    return AfterValidator(check)


def _card_by_name(value: object) -> object:
    """Return the number of a card type that goes by its name; a number as it came."""
    if not isinstance(value, str) or value.isdecimal():
        return value
    if not value.isascii() or value.lower() not in _CARDS_BY_NAME:
        raise ValueError(f"must be one of {_named(CARD_TYPES)}")
    return _CARDS_BY_NAME[value.lower()]


def _refuse(_value: object) -> None:
    raise ValueError("may not be used to make the payment")


def _spellings(numbers: Iterable[int]) -> JsonDict:
    """Return the JSON Schema of these numbers, as numbers or as digits."""
    as_digits = f"^0*({'|'.join(map(str, numbers))})$"
    return {
        "anyOf": [
            {"type": "integer", "enum": [*numbers]},
            {"type": "string", "maxLength": INTEGER_DIGITS_MAX, "pattern": as_digits},
        ]
    }


def _any_case(name: str) -> str:
    return "".join(f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else letter for letter in name)


def _say_conditions(schema: JsonDict) -> None:
    """Say in the JSON Schema which field a payment method needs, and that a percentage beside a flat fee is ignored."""
    fields = cast("dict[str, JsonDict]", schema["properties"])
    percentage: JsonDict = {"properties": {"feePercentage": {"anyOf": [fields["feePercentage"], {"const": ""}]}}}
    fields["feePercentage"] = {"description": fields["feePercentage"].get("description")}
    rules: list[JsonValue] = [
        {"if": {"properties": {"paymentMethod": _spellings([method])}}, "then": at_least_one_of(name)}
        for name, method in _NEEDED_BY.items()
    ]
    schema["allOf"] = [*rules, {"if": {"not": at_least_one_of("feeAmount")}, "then": percentage}]


PaymentMethod = Annotated[IntegerId, _one_of(PAYMENT_METHODS), WithJsonSchema(_spellings(PAYMENT_METHODS))]
_CARD_NAME: JsonDict = {"type": "string", "pattern": f"^({'|'.join(map(_any_case, CARD_TYPES.values()))})$"}
CardType = Annotated[
    IntegerId,
    BeforeValidator(_card_by_name),
    _one_of(CARD_TYPES),
    WithJsonSchema({"anyOf": [_spellings(CARD_TYPES), _CARD_NAME]}),
]
NotAllowed = Annotated[None, PlainValidator(_refuse), WithJsonSchema({"type": "null"})]
"""A field that has an error of its own where it is given."""


class IvvyPayment(WireModel):
    """The body as iVvy takes it."""

    invoiceId: IntegerId = Field(description="Id of the invoice.")
    paidDate: DateTime = Field(description="When it was paid; its day is the payment date.")
    amountPaid: Amount = Field(description="Amount of the payment, in the company's currency.")
    paymentMethod: PaymentMethod = Field(description=_named(PAYMENT_METHODS))
    gateway: NotAllowed = Field(default=None, description="May not be used to make the payment.")
    paymentId: NotAllowed = Field(default=None, description="May not be used to make the payment.")
    customPaymentMethodId: IntegerId | None = Field(
        default=None, validate_default=True, description="Required with paymentMethod 13."
    )
    receiptNum: Name | None = Field(default=None, description="Number of the receipt.")
    reconciledDate: DateTime | None = Field(default=None, description="When the payment was reconciled.")
    cardType: CardType | None = Field(
        default=None,
        validate_default=True,
        description=f"Required with paymentMethod 1. By number or, in any case, by name: {_named(CARD_TYPES)}",
    )
    feePercentage: Percent | None = Field(default=None, description="Card fee in percent of amountPaid.")
    feeAmount: Amount | None = Field(default=None, description="Flat card fee; with it, feePercentage is ignored.")
    feeExcludedTaxIds: list[IntegerId] | None = Field(default=None, description="Taxes left out of the payment.")
    chequeNumber: Name | None = Field(default=None, validate_default=True, description="Required with paymentMethod 5.")
    chequeDrawerName: Name | None = Field(default=None, description="For paymentMethod 5.")
    chequeBankBranch: Name | None = Field(default=None, description="For paymentMethod 5.")
    eftTransferDate: DateTime | None = Field(default=None, description="For paymentMethod 3.")
    eftPaymentReference: Name | None = Field(default=None, description="For paymentMethod 3.")

    model_config = ConfigDict(json_schema_extra=_say_conditions)

    @model_validator(mode="before")
    @classmethod
    def _flat_fee_wins(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("feeAmount") not in (None, ""):
            return {name: value for name, value in raw.items() if name != "feePercentage"}
        return raw

    @field_validator(*_NEEDED_BY)
    @classmethod
    def _is_given_where_needed(cls, value: object, info: ValidationInfo) -> object:
        method = _NEEDED_BY[info.field_name or ""]
        if value is None and info.data.get("paymentMethod") == method:
            raise ValueError(f"is required with paymentMethod {method}")
        return value


_REQUIRED = {name for name, field in IvvyPayment.model_fields.items() if field.is_required()}
"""They say which invoice, when, how much and how; every other field goes into the registration's details."""


def to_registration(message: IvvyPayment, defaults: Defaults) -> Registration:
    """Return the registration that the message asks for. iVvy names no currency: it is the company's."""
    currency, flat_fee = defaults.currency, message.feeAmount
    amount_minor = to_minor(message.amountPaid, currency, "amountPaid")
    return Registration(
        source=IVVY.message_type,
        currency=currency,
        states_currency=False,
        paydate=message.paidDate.date(),
        lines=(Line(identifiers=(Identifier("jobid", str(message.invoiceId)),), amount_minor=amount_minor),),
        payment_type=PAYMENT_METHODS[message.paymentMethod],
        is_write_off=message.paymentMethod == _WRITE_OFF,
        surcharge_minor=to_minor(flat_fee, currency, "feeAmount") if flat_fee is not None else 0,
        surcharge_percent=message.feePercentage if flat_fee is None else None,
        refuses_overpayment=True,
        details={name: _text(value) for name, value in message if name not in _REQUIRED and value not in (None, [])},
    )


def _text(value: object) -> str:
    """Return a value as text, the same for each way to write it."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return plain_text(value)
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def response(outcome: Outcome, _message: IvvyPayment | None) -> dict[str, ResponseValue]:
    """Return iVvy's answer: the payment's id, or an error code with the outcome's own words."""
    if outcome["status"] == Status.OHISPAY.name:
        return {"Success": True, "Id": outcome["payment_id"]}
    return {"Success": False, "ErrorCode": _error_code(outcome), "Message": outcome["statustext"]}


def _error_code(outcome: Outcome) -> ErrorCode:
    if outcome["reason"] == "invalid":
        return _invalid_code(outcome["errors"])
    if outcome["status"] == Status.UNDONE.name:
        return ErrorCode.UNKNOWN_ERROR  # iVvy has no word for "not yet": Message says what is awaited
    return _ERROR_CODES.get(outcome["reason"], ErrorCode.INVALID_DETAILS)


def _invalid_code(errors: list[FieldError]) -> ErrorCode:
    """A request is empty where it is no object, or where just the required fields are missing, all of them."""
    fields = {error["field"] for error in errors}
    is_missing = all(error["message"] == "Field required" for error in errors)  # so pydantic says it
    if fields == {"message"} or (fields == _REQUIRED and is_missing):
        return ErrorCode.EMPTY_REQUEST
    if fields & {"gateway", "paymentId"}:
        return ErrorCode.FIELD_NOT_ALLOWED
    return ErrorCode.INVALID_PAYMENT_METHOD if "paymentMethod" in fields else ErrorCode.INVALID_DETAILS


IVVY = Source(
    message_type="ivvy.add-payment.v1",
    model=IvvyPayment,
    key_field=None,
    meaning=to_registration,
    response=response,
)
