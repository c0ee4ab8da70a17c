"""The canonical registration: what any source's message becomes before anything is decided about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple, get_args

IdentifierKind = Literal["billcode", "jobid", "billnum", "reference_number", "back_office_code", "external_id"]
IDENTIFIER_KINDS: tuple[IdentifierKind, ...] = get_args(IdentifierKind)
"""What may name an invoice. Each is unique within its company."""


class Identifier(NamedTuple):
    """One name of an invoice. A jobid's value is its decimal digits."""

    kind: IdentifierKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A part of a payment that goes to one invoice."""

    identifiers: tuple[Identifier, ...]
    """In the order in which they are looked up."""
    amount_minor: int
    references: Mapping[str, str] = field(default_factory=dict)
    """Documents that the line points at, such as a credit note, by what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A payment to be registered, in the worker's own vocabulary. Amounts are minor units of `currency`."""

    source: str
    """The message type that it came as."""
    currency: str
    paydate: date
    lines: tuple[Line, ...]
    states_currency: bool = True
    """False where the message names no currency, and the company's was taken."""
    payment_type: str | None = None
    refuses_overpayment: bool = False
    """True where the source itself never takes more than is open."""
    details: Mapping[str, str] = field(default_factory=dict)
    """All else that the message says of the payment; part of its meaning, though no rule reads it."""

    @property
    def amount_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)
