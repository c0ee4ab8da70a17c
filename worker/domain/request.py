"""From a message to a request: the door that every registration comes through, first time, redelivered or replayed."""

from datetime import date

from msgspec.structs import replace

from schemas import catalog
from schemas.codec import parse, read_json
from schemas.fields import WireModel, storable
from schemas.invalid import FieldError, InvalidMessageError, MalformedJsonError, invalid
from schemas.invoice import InvoicePut
from schemas.limits import AMOUNT_MINOR_MAX, BODY_BYTES_MAX, IDEMPOTENCY_KEY_CHARS_MAX, TRACE_CHARS_MAX
from schemas.registration import Cancellation, Defaults, Registration
from schemas.sources import SOURCES, Source, without_secrets
from schemas.value import Value
from schemas.wallet import WalletPut
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.fingerprint import fingerprint
from worker.domain.message import NOWHERE, Message, ReturnAddress
from worker.domain.policy import Policy

_JSON_TYPES = (None, "", catalog.CONTENT_TYPE)
_PLAIN_ENCODINGS = (None, "", "identity", "utf-8")


class Request(Value, frozen=True, kw_only=True):
    """A registration or a cancellation asked for under a key. One that is invalid has errors instead."""

    company: str
    key: str
    source: Source
    registration: Registration | None = None
    cancellation: Cancellation | None = None
    message: WireModel | None = None
    """What the source's response is made for."""
    fingerprint: bytes | None = None
    errors: tuple[FieldError, ...] = ()
    return_address: ReturnAddress = NOWHERE
    body: bytes = b""
    """As it came, but without what must not be stored."""
    unknown_fields: tuple[str, ...] = ()
    reconsidered: bool = False
    """True where the worker itself looks again at a payment that it left undone."""

    @property
    def identity(self) -> tuple[str, str]:
        return self.company, self.key

    def again(self, fingerprint: bytes | None = None) -> "Request":
        """Return the request as one that the worker itself looks at again, by the fingerprint that it is held by."""
        return replace(self, reconsidered=True, fingerprint=fingerprint or self.fingerprint)


def read_request(message: Message, policy: Policy | None, today: date) -> Request:
    """Return what the message asks for; policy is its company's, None where there is no such company.

    today: the day that stands in where a message names no date of payment.
    An invalid registration whose key could be read is returned with its errors: it gets an outcome as well as a dead
    letter. Raises RefusedError where it can only become a dead letter.
    """
    message_type, policy, raw = _open(message, policy, "registration", catalog.DEFAULT_TYPE)
    source = SOURCES[message_type.name]
    try:
        key = _idempotency_key(message, source, raw)
    except InvalidMessageError as error:
        raise RefusedError.invalid(error.errors) from None
    return_address = NOWHERE
    read: WireModel | None = None
    asked: Registration | Cancellation | None = None
    errors: tuple[FieldError, ...] = ()
    try:
        return_address = _return_address(message)
        read = parse(message_type.model, raw)
        asked = source.meaning(read, Defaults(policy.currency, today))
        if isinstance(asked, Registration):
            _check_sum(asked)
    except InvalidMessageError as error:
        if key is None:
            raise RefusedError.invalid(error.errors) from None
        read = asked = None
        errors = tuple(error.errors)
    if key is None:
        raise RefusedError(
            DeadLetterReason.MISSING_IDEMPOTENCY_KEY,
            f"no idempotency key: set the header {catalog.KEY_HEADER} or the property message_id",
        )
    return Request(
        company=policy.company,
        key=key,
        source=source,
        registration=asked if isinstance(asked, Registration) else None,
        cancellation=asked if isinstance(asked, Cancellation) else None,
        message=read,
        fingerprint=fingerprint(asked) if asked is not None else None,
        errors=errors,
        return_address=return_address,
        body=without_secrets(message.body, source),
        unknown_fields=_unknown(raw, message_type) if asked is not None else (),
    )


def read_statement(message: Message, policy: Policy | None) -> InvoicePut | WalletPut:
    """Return what an owner states: the invoice or the wallet that the message puts. Raises RefusedError."""
    message_type, _, raw = _open(message, policy, "invoice", catalog.INVOICE_PUT)
    model: type[InvoicePut | WalletPut] = WalletPut if message_type.name == catalog.WALLET_PUT else InvoicePut
    try:
        return parse(model, raw)
    except InvalidMessageError as error:
        raise RefusedError.invalid(error.errors) from None


def _open(
    message: Message, policy: Policy | None, topic: str, default_type: str
) -> tuple[catalog.MessageType, Policy, object]:
    """Return the message's type, its company's policy and its JSON value, or raise RefusedError."""
    if not message.is_from_its_company:
        # Before all else: whatever is wrong with it besides, it is not the company's message.
        error = invalid("user_id", "is a user who does not speak for the company in the routing key")
        raise RefusedError.invalid(error.errors)
    if len(message.body) > BODY_BYTES_MAX:
        text = f"the body has {len(message.body)} bytes, more than {BODY_BYTES_MAX}"
        raise RefusedError(DeadLetterReason.TOO_LARGE, text)
    if policy is None:
        text = "the routing key names no company that is known here: see `payment-worker companies put`"
        raise RefusedError(DeadLetterReason.UNKNOWN_COMPANY, text)
    media_type = (message.content_type or "").partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES or (message.content_encoding or "").lower() not in _PLAIN_ENCODINGS:
        text = f"only {catalog.CONTENT_TYPE} without compression is read here"
        raise RefusedError(DeadLetterReason.UNSUPPORTED_CONTENT_TYPE, text)
    message_type = catalog.TYPES.get(message.type or default_type)
    if message_type is None or message_type.topic != topic:
        known = ", ".join(sorted(name for name, known in catalog.TYPES.items() if known.topic == topic))
        raise RefusedError(DeadLetterReason.UNKNOWN_TYPE, f"the property type must be one of {known}")
    try:
        return message_type, policy, read_json(message.body)
    except MalformedJsonError as error:
        raise RefusedError(DeadLetterReason.MALFORMED_JSON, str(error)) from None


def _unknown(raw: object, message_type: catalog.MessageType) -> tuple[str, ...]:
    known = message_type.model.model_fields
    return tuple(name for name in raw if name not in known) if isinstance(raw, dict) else ()


def _check_sum(registration: Registration) -> None:
    amounts = [line.amount_minor or 0 for line in registration.lines]
    if max(sum(amounts), registration.total_minor or 0) > AMOUNT_MINOR_MAX:
        raise invalid("lines", "are more in all than the books can hold")


def _idempotency_key(message: Message, source: Source, raw: object) -> str | None:
    """Return the first of: the header, the source's natural key, message_id.

    Raises InvalidMessageError for one that is no key. A key that is there but unusable is never passed over for the
    next: the payment would be booked under a key that its sender does not know of.
    """
    if catalog.KEY_HEADER in message.headers:
        return _key(message.headers[catalog.KEY_HEADER], f"headers.{catalog.KEY_HEADER}")
    if source.key_field is not None and isinstance(raw, dict) and raw.get(source.key_field) not in (None, ""):
        return _key(raw[source.key_field], source.key_field)
    if message.message_id:
        return _key(message.message_id, "message_id")
    return None


def _key(value: object, field: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > IDEMPOTENCY_KEY_CHARS_MAX:
        raise invalid(field, f"must be text of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
    try:
        return storable(value)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def _return_address(message: Message) -> ReturnAddress:
    for name in ("correlation_id", "reply_to"):
        try:
            storable(getattr(message, name) or "")
        except ValueError as error:
            raise invalid(name, str(error)) from None
    return ReturnAddress(
        message.correlation_id, message.reply_to, *(_trace(message, name) for name in catalog.TRACE_HEADERS)
    )


def _trace(message: Message, name: str) -> str | None:
    # A broken trace header costs the trace, never the payment.
    value = message.headers.get(name)
    if not isinstance(value, str) or len(value) > TRACE_CHARS_MAX or not value.isprintable():
        return None
    return value
