"""Bytes to models and back. Numbers stay exact on both ways."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from schemas.fields import WireModel
from schemas.invalid import InvalidMessageError, MalformedJsonError, field_errors
from schemas.limits import INTEGER_DIGITS_MAX, NESTING_LEVELS_MAX

Model = TypeVar("Model", bound=WireModel)


def read_json(body: bytes) -> object:
    """Return what the body says, with decimals exact; one that no decimal can hold as a number that no field takes.

    Raises MalformedJsonError. A name that stands twice in an object is refused: which amount was meant?
    """
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > NESTING_LEVELS_MAX and _levels(text) > NESTING_LEVELS_MAX:
            raise MalformedJsonError(f"nested deeper than {NESTING_LEVELS_MAX} levels")
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise MalformedJsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from None


def parse(model: type[Model], raw: object) -> Model:
    """Return the message that the JSON value holds. Raises InvalidMessageError."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InvalidMessageError(field_errors(error)) from None


def encode(value: Any) -> bytes:
    """Return any JSON value's bytes, decimals as exact numbers."""
    return _ENCODER.encode(value)


def _once_each(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise MalformedJsonError("a name stands twice in one object")
    return read


def _integer(digits: str) -> int | Decimal:
    # A longer run of digits fits nothing here; as a decimal it is refused by its field and costs no quadratic time.
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else Decimal(digits)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _TOO_FAR


def _no_constant(name: str) -> object:
    raise MalformedJsonError(f"{name} is not JSON")


def _levels(text: str) -> int:
    """Return the deepest nesting outside of strings. Slow, so it is asked only of a body with many brackets."""
    deepest = level = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string, escaped = escaped or char != '"', char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            level += 1
            deepest = max(deepest, level)
        elif char in "]}":
            level -= 1
    return deepest


_TOO_FAR = Decimal("1e999999999999999999")
"""What a number with an exponent of 19 digits or more is read as. It is JSON like any other: as an amount it is refused
and its message answered, in an unknown field it is ignored."""

_DECODER = json.JSONDecoder(
    parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=_once_each
)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
