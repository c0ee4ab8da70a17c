"""What a source system is to the worker. A fifth source is a file beside ropo.py and its name in __init__.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.fields import WireModel
from schemas.outcome import Outcome
from schemas.registration import Registration

ResponseValue = str | int | bool | Decimal | None | Mapping[str, Any]
"""What a native response may hold. Amounts are Decimals and become JSON numbers with just their digits."""


@dataclass(frozen=True, slots=True)
class Source:
    """One message type: how it is read, what it means, and how it is answered."""

    message_type: str
    model: type[WireModel]
    key_field: str | None
    """The field that holds the idempotency key in the source's own body, if it has one."""
    to_registration: Callable[[Any, str], Registration]
    """(message, the company's currency) → what it asks for. Raises InvalidMessageError where an amount does not fit."""
    response: Callable[[Outcome, Registration | None], dict[str, ResponseValue]]
    """The outcome in the source's own shape; the registration is None where the message was invalid."""
