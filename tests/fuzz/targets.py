"""What is fuzzed: each target takes any bytes, and raises only where something is wrong with the worker.

In the inputs of `registration`, `statement` and `secrets` the first line names the message type, and the rest is the
body; in those of the files it is the file's name. `properties` takes AMQP properties as they stand in a frame.
"""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

import schemas
from schemas.codec import encode, read_json
from schemas.fields import storable
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.invoice import InvoicePut
from schemas.limits import BODY_BYTES_MAX, FIELD_ERRORS_MAX
from schemas.money import MINOR_DIGITS, percent_of, plain_text, read_amount, read_percent, to_minor, to_text
from schemas.outcome import OUTCOME_TYPE
from schemas.sources import SOURCES, without_secrets
from tests.builders import TODAY, Books, a_message, a_policy, a_wallet, an_invoice
from tests.fuzz.properties import properties
from worker.books.invoice_import import WrongRow
from worker.cli.invoice_file import InvoiceFile, InvoiceFileError
from worker.cli.message_file import MessageFileError, read_messages
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.message import Message
from worker.domain.request import Request, read_request, read_statement

PUBLISHED = Path(schemas.__file__).parent / "published"
OUTCOMES = Draft202012Validator(
    json.loads((PUBLISHED / f"{OUTCOME_TYPE}.json").read_text()), format_checker=FormatChecker(["date"])
)
POLICY = a_policy(gateways=frozenset({"gateway"}))


def registration(data: bytes) -> None:
    """What is read settles, and its outcome is as published; the same said in other bytes has the same fingerprint."""
    message = _message(data, "registration")
    try:
        request = read_request(message, POLICY, TODAY)
    except RefusedError as refusal:
        _check_refusal(refusal)
        return
    assert len(request.errors) <= FIELD_ERRORS_MAX + 1
    assert (request.fingerprint is None) == bool(request.errors)
    settled = _books(request).settle_one(request)
    outcome = json.loads(settled.body, parse_float=Decimal)
    OUTCOMES.validate(outcome)
    focused = sum(Decimal(outcome[f"focusedto{component}"]) for component in ("capital", "interest", "noticefee"))
    assert Decimal(outcome["amount"]) == focused + Decimal(outcome["unfocused"])
    again = _said_again(message.body)
    if again is not None:
        assert read_request(_with_body(message, again), POLICY, TODAY).fingerprint == request.fingerprint


def statement(data: bytes) -> None:
    """What is read has a name, and reads the same in other bytes."""
    message = _message(data, "invoice")
    try:
        put = read_statement(message, POLICY)
    except RefusedError as refusal:
        _check_refusal(refusal)
        return
    assert put.identifiers() if isinstance(put, InvoicePut) else put.names()
    again = _said_again(message.body)
    assert again is None or read_statement(_with_body(message, again), POLICY) == put


def codec(data: bytes) -> None:
    """What is read can be written, and is read again as the same."""
    try:
        value = read_json(data)
    except MalformedJsonError as error:
        storable(str(error))
        return
    try:
        written = encode(value)
    except UnicodeEncodeError:
        return  # half of a surrogate pair: what was read of it goes nowhere
    assert read_json(written) == value


def money(data: bytes) -> None:
    """An amount that is read is what it says, to the last digit, in minor units and back."""
    text = data.decode(errors="surrogateescape")
    said: list[object] = [text]
    with suppress(MalformedJsonError):
        said.append(read_json(data))
    for value in said:
        try:
            amount = read_amount(value)
        except ValueError:
            continue
        assert read_amount(plain_text(amount)) == amount
        for currency in ("EUR", "JPY", "KWD", "CLF"):
            with suppress(InvalidMessageError):
                amount_minor = to_minor(amount, currency, "amount")
                assert Decimal(to_text(amount_minor, currency)) == amount
                assert amount_minor == amount * 10 ** MINOR_DIGITS[currency]
        with suppress(ValueError):
            assert 0 <= percent_of(10**15, read_percent(value)) <= 10**15


def secrets(data: bytes) -> None:
    """A body without secrets stays so; and of JSON just the secrets are gone."""
    name, _, body = data.partition(b"\n")
    source = SOURCES.get(name.decode(errors="replace"), SOURCES["crm-com.pay-invoice.v1"])
    found = without_secrets(body, source)
    assert without_secrets(found, source) == found
    try:
        value = _members(body)
    except (ValueError, RecursionError):
        return
    assert _members(found) == _blanked(value, source.secret_fields)


def invoice_file(data: bytes) -> None:
    """Every line of a file is a row or a line that is wrong; only the file as a whole may be refused."""
    name, _, content = data.partition(b"\n")
    file = InvoiceFile(io.BytesIO(content), Path("invoices." + name.decode(errors="replace").replace("\0", "")))
    with suppress(InvoiceFileError):
        for row in file.rows():
            if isinstance(row, WrongRow):
                storable(row.why)
    assert file.position <= len(content)


def message_file(data: bytes) -> None:
    """Each message of a file is one line at most, or the whole of it."""
    try:
        lines = list(read_messages(io.BytesIO(data)))
    except MessageFileError:
        return
    assert [line.number for line in lines] == sorted({line.number for line in lines})
    assert all(line.body.strip() for line in lines)


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (registration, statement, codec, money, secrets, properties, invoice_file, message_file)
}


class _Members(list[tuple[str, Any]]):
    """An object's members, in order; a name may stand twice."""


def _members(body: bytes) -> Any:
    return json.loads(body.decode(), object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str)


def _blanked(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, _Members):
        return _Members((name, "" if name in names else _blanked(inner, names)) for name, inner in value)
    return [_blanked(each, names) for each in value] if isinstance(value, list) else value


def _message(data: bytes, topic: str) -> Message:
    name, _, body = data.partition(b"\n")
    known = name.decode(errors="surrogateescape")
    return a_message(body, type=known, routing_key=f"{topic}.acme", message_id="key-1")


def _with_body(message: Message, body: bytes) -> Message:
    return a_message(body, type=message.type, routing_key=message.routing_key, message_id=message.message_id)


def _check_refusal(refusal: RefusedError) -> None:
    storable(refusal.text)
    assert refusal.text
    assert len(refusal.errors) <= FIELD_ERRORS_MAX + 1
    assert refusal.reason is not DeadLetterReason.POISON


def _books(request: Request) -> Books:
    """Return books that know what the request names, so that most of what is read can be booked."""
    asked = request.registration
    if asked is None:
        return Books(an_invoice(), policies=[POLICY])
    invoices = [
        an_invoice(
            1 + (line.amount_minor or 500) * 2 // 3,
            200,
            100,
            number=number,
            names=line.identifiers,
            currency=asked.currency,
        )
        for number, line in enumerate(asked.lines, start=1)
    ]
    wallets = [a_wallet(names={asked.wallet.kind: asked.wallet.value}, currency=asked.currency)] if asked.wallet else []
    return Books(*invoices, wallets=wallets, policies=[POLICY])


def _said_again(body: bytes) -> bytes | None:
    """Return the same message in other bytes: its members turned round, with what is blank left out."""
    raw = read_json(body)
    if not isinstance(raw, dict):
        return None
    turned = {name: value for name, value in reversed(raw.items()) if value not in (None, "")}
    try:
        again = encode(turned)
    except UnicodeEncodeError:
        return None
    return again if len(again) <= BODY_BYTES_MAX else None
