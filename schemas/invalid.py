"""How a message from outside can be wrong, told field by field and never with the value itself."""

from collections.abc import Iterable

from pydantic import ValidationError
from typing_extensions import TypedDict

from schemas.limits import FIELD_ERRORS_MAX


class FieldError(TypedDict):
    """What is wrong with one field. `field` is a path such as lines.0.amount, or "message" for the whole."""

    field: str
    message: str


class MalformedJsonError(ValueError):
    """The body is no JSON that can be read: not UTF-8, not JSON, a name given twice, or nested too deep."""


class InvalidMessageError(ValueError):
    """The body is JSON, but not the message that its type promises."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__(in_words(errors))


def in_words(errors: Iterable[FieldError]) -> str:
    """Return the errors as one text, for people."""
    return "; ".join(f"{error['field']} {error['message']}" for error in errors)


def invalid(field: str, message: str) -> InvalidMessageError:
    """Return the error of a single field."""
    return InvalidMessageError([{"field": field, "message": message}])


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return what pydantic found, in plain words and without the values, FIELD_ERRORS_MAX at most."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told: list[FieldError] = [
        {
            "field": ".".join(str(part) for part in item["loc"]) or "message",
            "message": item["msg"].removeprefix("Value error, "),
        }
        for item in found[:FIELD_ERRORS_MAX]
    ]
    if len(found) > FIELD_ERRORS_MAX:
        told.append({"field": "message", "message": f"has {len(found) - FIELD_ERRORS_MAX} more errors"})
    return told
