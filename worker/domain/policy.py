"""What a company wants done with its payments (contract, section 5)."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec import field

from schemas.orders import AllocationOrder, Distribution
from schemas.value import Value

PRESET_ORDERS: Mapping[str, AllocationOrder] = {"directpayment": AllocationOrder.CAPITAL_INTEREST_NOTICEFEE}
"""Orders by payment type that hold where the company says nothing else of the type."""


class Overpayment(StrEnum):
    """What to do with an amount above what is open."""

    KEEP = "keep"
    """Book it; the rest stays unfocused."""
    REJECT = "reject"


class Treatment(StrEnum):
    """What a payment type can mean besides a payment to be booked."""

    ROPO = "ropo"
    ROPO_REFUND = "ropo_refund"
    IGNORE = "ignore"


class DuplicateCheck(StrEnum):
    """What to do with a payment that looks like one booked under another key."""

    OFF = "off"
    FLAG = "flag"
    REJECT = "reject"


class IdentifierRule(StrEnum):
    """How several identifiers of an invoice are read."""

    FIRST = "first"
    """The first that matches names the invoice."""
    ALL = "all"
    """All that are given must name the same invoice."""


class Policy(Value, frozen=True, kw_only=True):
    """A company's row. tolerance_minor is in minor units of its currency."""

    company: str
    currency: str
    allocation: AllocationOrder = AllocationOrder.NOTICEFEE_INTEREST_CAPITAL
    allocation_for: Mapping[str, AllocationOrder] = field(default_factory=dict)
    overpayment: Overpayment = Overpayment.KEEP
    treat: Mapping[str, Treatment] = field(default_factory=dict)
    books_closed_until: date | None = None
    duplicates: DuplicateCheck = DuplicateCheck.OFF
    await_invoice_s: int = 0
    hide_foreign: bool = False
    identifiers: IdentifierRule = IdentifierRule.FIRST
    distribution: Distribution = Distribution.OLDEST_DUE
    tolerance_minor: int | None = None
    tolerance_percent: Decimal | None = None
    gateways: frozenset[str] = frozenset()
    """Payment methods and types that charge through a payment gateway."""
    row_version: int | None = None
    """Another one with each change of the row, which it was read from."""

    @property
    def has_tolerance(self) -> bool:
        return self.tolerance_minor is not None or self.tolerance_percent is not None

    def tolerates(self, remainder_minor: int, open_minor: int) -> bool:
        """Say whether a remainder of what was open may be written off: within both limits, so the stricter wins."""
        limits = []
        if self.tolerance_minor is not None:
            limits.append(remainder_minor <= self.tolerance_minor)
        if self.tolerance_percent is not None:
            numerator, denominator = self.tolerance_percent.as_integer_ratio()
            limits.append(remainder_minor * 100 * denominator <= open_minor * numerator)
        return bool(limits) and all(limits)

    def order_for(self, payment_type: str | None) -> AllocationOrder:
        """Return the order: the company's for the type, else the preset for the type, else the company's default."""
        if payment_type is None:
            return self.allocation
        return self.allocation_for.get(payment_type) or PRESET_ORDERS.get(payment_type, self.allocation)
