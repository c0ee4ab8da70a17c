"""`payment.cancel.v1`: a booked payment is to be reversed, whichever message type it came as."""

from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr, WithJsonSchema

from schemas.fields import Text, WireModel, storable
from schemas.limits import IDEMPOTENCY_KEY_CHARS_MAX
from schemas.outcome import Outcome
from schemas.registration import Cancellation, Defaults
from schemas.sources.source import ResponseValue, Source


def _read_key(text: str) -> str:
    if not text.strip() or len(text) > IDEMPOTENCY_KEY_CHARS_MAX:
        raise ValueError(f"must be text of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
    return storable(text)


PaymentKey = Annotated[
    StrictStr,
    AfterValidator(_read_key),
    WithJsonSchema({"type": "string", "pattern": r"\S", "maxLength": IDEMPOTENCY_KEY_CHARS_MAX}),
]


class PaymentCancel(WireModel):
    """A payment of the same company to be reversed. The cancellation has an idempotency key of its own."""

    payment: PaymentKey = Field(description="Idempotency key of the payment.")
    reason: Text | None = Field(default=None, description="Why, for people.")


def to_cancellation(message: PaymentCancel, _defaults: Defaults) -> Cancellation:
    """Return the cancellation that the message asks for."""
    return Cancellation(source=CANCEL.message_type, payment_key=message.payment, why=message.reason)


def response(outcome: Outcome, message: PaymentCancel | None) -> dict[str, ResponseValue]:
    """Return which payment was named, its id in the books (None where there is none), and what became of it."""
    cancels = outcome.get("cancels")
    return {
        "payment": message.payment if message is not None else None,
        "payment_id": cancels["payment_id"] if cancels is not None else None,
        "statusid": outcome["statusid"],
        "status": outcome["status"],
        "reason": outcome["reason"],
        "statustext": outcome["statustext"],
    }


CANCEL = Source(
    message_type="payment.cancel.v1",
    model=PaymentCancel,
    key_field=None,
    meaning=to_cancellation,
    response=response,
)
