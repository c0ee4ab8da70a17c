"""What a company wants done with its payments (contract, section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from worker.domain.allocation import AllocationOrder

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A company's row."""

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

    def order_for(self, payment_type: str | None) -> AllocationOrder:
        """Return the order: the company's for the type, else the preset for the type, else the company's default."""
        if payment_type is None:
            return self.allocation
        return self.allocation_for.get(payment_type) or PRESET_ORDERS.get(payment_type, self.allocation)
