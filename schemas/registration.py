"""The canonical registration: what any source's message becomes before anything is decided about it."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from msgspec import field

from schemas.orders import AllocationOrder, Distribution
from schemas.value import Value

IdentifierKind = Literal["billcode", "jobid", "billnum", "reference_number", "back_office_code", "external_id"]
IDENTIFIER_KINDS: tuple[IdentifierKind, ...] = get_args(IdentifierKind)
"""What may name an invoice. Each is unique within its company."""
AccountKind = Literal["id", "number", "name"]
WalletKind = Literal["id", "number"]
WALLET_KINDS: tuple[WalletKind, ...] = get_args(WalletKind)
"""What may name a wallet. Each is unique within its company."""
SettledBy = Literal["money", "write_off", "wallet"]
"""What settles an invoice: money received, nothing (it is written off), or the funds of a wallet."""


class Identifier(NamedTuple):
    """One name of an invoice. A jobid's value is its decimal digits."""

    kind: IdentifierKind
    value: str


class AccountName(NamedTuple):
    """One name of the account that an invoice belongs to."""

    kind: AccountKind
    value: str


class WalletName(NamedTuple):
    """One name of a wallet."""

    kind: WalletKind
    value: str


class Defaults(NamedTuple):
    """What stands in for what a message leaves out: the company's currency, and the day on which it is processed."""

    currency: str
    today: date


class Line(Value, frozen=True, kw_only=True):
    """A part of a payment that goes to one invoice."""

    identifiers: tuple[Identifier, ...]
    """In the order in which they are looked up."""
    amount_minor: int | None
    """None: its share of the registration's total, or without such a total all that is open on the invoice."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Documents that the line points at, such as a credit note, by what they are."""


class Registration(Value, frozen=True, kw_only=True):
    """A payment to be registered, in the worker's own vocabulary. Amounts are minor units of `currency`."""

    source: str
    """The message type that it came as."""
    currency: str
    paydate: date
    lines: tuple[Line, ...]
    """At least one."""
    total_minor: int | None = None
    """The whole amount, where lines that name none share what the others leave of it."""
    states_currency: bool = True
    """False where the message names no currency, and the company's was taken."""
    states_paydate: bool = True
    """False where the message names no date, and the day of its processing was taken."""
    payment_type: str | None = None
    method: str | None = None
    account: AccountName | None = None
    """The account that the invoices must belong to."""
    wallet: WalletName | None = None
    """The wallet that it is paid from."""
    is_write_off: bool = False
    surcharge_minor: int = 0
    """What the payer paid beside the amount, such as a card fee; it pays no part of an invoice."""
    surcharge_percent: Decimal | None = None
    """The same in percent of the amount."""
    is_cancelled: bool = False
    """True for a payment that was cancelled already when it was first sent."""
    charges_gateway: bool = False
    """True where the message asks that a card be charged, which this worker does not do."""
    refuses_overpayment: bool = False
    """True where no more may be taken than is open, whatever the company's policy is."""
    allocation: AllocationOrder | None = None
    """The order that the message asks for; else the company's."""
    distribution: Distribution | None = None
    """Likewise for several invoices without named amounts."""
    details: Mapping[str, str] = field(default_factory=dict)
    """All else that the message says of the payment; part of its meaning, though no rule reads it."""

    @property
    def settled_by(self) -> SettledBy:
        if self.is_write_off:
            return "write_off"
        return "money" if self.wallet is None else "wallet"

    @property
    def known_amount_minor(self) -> int | None:
        """The whole amount as far as the message says it; None where a line pays all that is open."""
        if self.total_minor is not None:
            return self.total_minor
        amounts = [line.amount_minor for line in self.lines]
        return None if None in amounts else sum(amount for amount in amounts if amount is not None)


class Cancellation(Value, frozen=True, kw_only=True):
    """A booked payment to be reversed."""

    source: str
    payment_key: str
    """The idempotency key of the payment, in the same company."""
    why: str | None = None
