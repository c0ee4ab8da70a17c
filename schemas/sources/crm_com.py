"""CRM.COM, `crm-com.pay-invoice.v1` (POST payments/pay_invoice): a payment of all that is open on one invoice."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field, PlainValidator, WithJsonSchema

from schemas.fields import DateTime, Name, OneOf, Text, WireModel
from schemas.invoice import AccountIdentifier
from schemas.limits import IDENTIFIER_CHARS_MAX
from schemas.money import DECIMAL_TEXT, plain_text, to_number
from schemas.outcome import Outcome, Status
from schemas.registration import AccountName, Defaults, Identifier, IdentifierKind, Line, Registration, WalletName
from schemas.sources.source import ResponseValue, Source
from schemas.wallet import WalletIdentifier

_INVOICE_KINDS: Final[Mapping[str, IdentifierKind]] = {
    "id": "external_id",
    "number": "billnum",
    "reference_number": "reference_number",
    "back_office_code": "back_office_code",
}
"""What CRM.COM calls an invoice's names, and what they are called here."""


def _read_decimal(value: object) -> Decimal:
    if isinstance(value, str) and DECIMAL_TEXT.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise ValueError("must be a number, or a string that holds one")
    number = Decimal(value)
    if not number.is_finite() or max(number.adjusted(), -int(number.as_tuple().exponent)) >= IDENTIFIER_CHARS_MAX:
        raise ValueError("has too many digits")
    return number


UserNumber = Annotated[
    Decimal,
    PlainValidator(_read_decimal),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{DECIMAL_TEXT.pattern}$"}]}),
]
"""A number of the user's own, below zero or not. It is told exactly as it came, so it never becomes a float."""


class Listed(OneOf):
    """An entry of one of CRM.COM's own lists, such as its payment methods."""

    id: Name | None = None
    name: Name | None = None
    alternative_code: Name | None = None


class Category(OneOf):
    id: Name | None = None
    name: Name | None = None
    code: Name | None = None


class Invoice(OneOf):
    id: Name | None = None
    number: Name | None = None
    reference_number: Name | None = None
    back_office_code: Name | None = None


class User(OneOf):
    id: Name | None = None
    username: Name | None = None


class Card(OneOf):
    """A card that a payment gateway is to charge."""

    id: Name | None = None
    payment_gateway_reference_number: Name | None = None
    last_digits: Name | None = None


class PaymentPreference(OneOf):
    """How the account prefers to pay. A payment medium has a single identifier, so here it is plain text."""

    id: Name | None = None
    payment_preference_identifier: Listed | None = None
    payment_medium_identifier: Name | None = None
    bank_account_number: Name | None = None


class CrmComPayment(WireModel):
    """The body as CRM.COM takes it. An identifier is an object of which exactly one field is given."""

    accounts_receivable_identifier: AccountIdentifier | None = Field(
        default=None, description="The invoice must belong to it."
    )
    wallet_identifier: WalletIdentifier | None = Field(default=None, description="Pays, from its unconditional funds.")
    type_identifier: Listed = Field(description="Financial transaction type.")
    category_identifier: Category | None = None
    payment_method_identifier: Listed
    invoice_identifier: Invoice
    received_on: DateTime | None = Field(default=None, description="Where absent, the day on which it is processed.")
    received_by_user_identifier: User | None = None
    received_by_unit_identifier: Listed | None = None
    card_identifier: Card | None = Field(default=None, description="No card is charged here: one with it is refused.")
    accounts_receivable_payment_preference_identifier: PaymentPreference | None = None
    notes: Text | None = Field(default=None, description="Free text.")
    back_office_code: Name | None = Field(default=None, description="The payment's own code, and its idempotency key.")
    udf_string_1: Text | None = None
    udf_string_2: Text | None = None
    udf_string_3: Text | None = None
    udf_string_4: Text | None = None
    udf_string_5: Text | None = None
    udf_string_6: Text | None = None
    udf_string_7: Text | None = None
    udf_string_8: Text | None = None
    udf_float_1: UserNumber | None = None
    udf_float_2: UserNumber | None = None
    udf_float_3: UserNumber | None = None
    udf_float_4: UserNumber | None = None
    udf_date_1: DateTime | None = None
    udf_date_2: DateTime | None = None
    udf_date_3: DateTime | None = None
    udf_date_4: DateTime | None = None
    fields_set: Text | None = Field(default=None, description="Which fields of data are answered; all where absent.")


_NO_DETAILS = {
    "accounts_receivable_identifier",
    "wallet_identifier",
    "type_identifier",
    "payment_method_identifier",
    "invoice_identifier",
    "received_on",
    "fields_set",
}
"""Fields with a place of their own in the registration, and the one that only shapes the answer."""


def to_registration(message: CrmComPayment, defaults: Defaults) -> Registration:
    """Return the registration that the message asks for. CRM.COM names no amount and no currency."""
    kind, value = message.invoice_identifier.only()
    account, wallet = message.accounts_receivable_identifier, message.wallet_identifier
    received_on = message.received_on
    return Registration(
        source=CRM_COM.message_type,
        currency=defaults.currency,
        states_currency=False,
        paydate=defaults.today if received_on is None else received_on.date(),
        states_paydate=received_on is not None,
        lines=(Line(identifiers=(Identifier(_INVOICE_KINDS[kind], value),), amount_minor=None),),
        payment_type=message.type_identifier.only()[1],
        method=message.payment_method_identifier.only()[1],
        account=None if account is None else AccountName(*account.only()),
        wallet=None if wallet is None else WalletName(*wallet.only()),
        charges_gateway=message.card_identifier is not None,
        details={path: text for name, said in message if name not in _NO_DETAILS for path, text in _told(name, said)},
    )


def _told(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield a field's path and its value as text, the same for each way to write it; nothing where it is not given."""
    match value:
        case None:
            return
        case OneOf():
            for name, inner in value:
                yield from _told(f"{path}.{name}", inner)
        case datetime():
            yield path, value.isoformat()
        case Decimal():
            yield path, plain_text(value)
        case _:
            yield path, str(value)


def response(outcome: Outcome, message: CrmComPayment | None) -> dict[str, ResponseValue]:
    """Return CRM.COM's answer. Its clients take any code but OK for an error, and show the message."""
    return {"status": _status(outcome), "data": _chosen(_data(outcome), message)}


def _status(outcome: Outcome) -> dict[str, str]:
    if outcome["status"] == Status.OHISPAY.name:
        return {"code": "OK", "description": "", "message": ""}
    text = outcome["statustext"]
    return {"code": outcome["reason"].upper(), "description": text, "message": text}


def _data(outcome: Outcome) -> dict[str, ResponseValue]:
    state = _life_cycle_state(outcome)
    if state is None:
        return {}
    payment_id = str(outcome["payment_id"])
    # CRM.COM tells times to the second and without an offset; here it is UTC, as in the outcome.
    issued_on = datetime.fromisoformat(outcome["occurred_at"]).replace(microsecond=0, tzinfo=None).isoformat()
    return {
        "id": payment_id,
        "number": payment_id,
        "reference_number": payment_id,
        "life_cycle_state": state,
        "issued_on": issued_on,
        "posted_on": issued_on if state == "POSTED" else None,
        "payment_amount": to_number(outcome["amount"]),
        "processed_by_payment_gateway": None,
        "payment_gateway_reference_number": None,
        "currency_rate_period": None,
    }


def _life_cycle_state(outcome: Outcome) -> str | None:
    """Return the state of the payment; None of one that was refused, since CRM.COM then has none."""
    if outcome["status"] == Status.OHISPAY.name:
        return "POSTED"
    if outcome["status"] == Status.UNDONE.name:
        return "DRAFT"  # counts for nothing; a later event tells of the same id as POSTED, or of a refusal
    return "CANCELLED" if outcome["reason"] == "payment_cancelled" else None


def _chosen(data: dict[str, ResponseValue], message: CrmComPayment | None) -> dict[str, ResponseValue]:
    """Return the fields that the message's fields_set names. Names that are unknown are ignored, and none means all."""
    names = {name.strip() for name in ((message and message.fields_set) or "").split(",")} - {""}
    return {name: value for name, value in data.items() if not names or name in names}


CRM_COM = Source(
    message_type="crm-com.pay-invoice.v1",
    model=CrmComPayment,
    key_field="back_office_code",
    meaning=to_registration,
    response=response,
    secret_fields=frozenset({"token"}),
)
