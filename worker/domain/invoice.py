"""An invoice as the books hold it: what its owner stated, what was allocated to it, and so what is open."""

from collections.abc import Mapping
from datetime import date

from msgspec.structs import replace

from schemas.invoice import InvoiceState
from schemas.registration import AccountName, Identifier, IdentifierKind
from schemas.value import Value
from worker.domain.allocation import NOTHING, Components


class Invoice(Value, frozen=True, kw_only=True):
    """A row of the invoices. Amounts are minor units of its currency."""

    id: int
    company: str
    identifiers: Mapping[IdentifierKind, str]
    currency: str
    stated_state: InvoiceState
    version: int
    stated: Components
    allocated: Components
    account_id: str | None = None
    account_number: str | None = None
    account_name: str | None = None
    due_date: date | None = None

    @property
    def open(self) -> Components:
        """What is still owed: stated − allocated."""
        return self.stated.minus(self.allocated)

    @property
    def state(self) -> InvoiceState:
        """CANCELLED and CLOSED as stated; CLOSED also where nothing is open."""
        if self.stated_state == "OPEN" and self.allocated == self.stated:
            return "CLOSED"
        return self.stated_state

    @property
    def payable(self) -> Components:
        """What a payment can pay: what is open, and nothing of an invoice that its owner has closed or cancelled."""
        return self.open if self.stated_state == "OPEN" else NOTHING

    def has(self, identifier: Identifier) -> bool:
        """Say whether the identifier names this invoice."""
        return self.identifiers.get(identifier.kind) == identifier.value

    def belongs_to(self, account: AccountName) -> bool:
        """Say whether the invoice is known to belong to the account."""
        held = {"id": self.account_id, "number": self.account_number, "name": self.account_name}
        return held[account.kind] == account.value

    def booked(self, allocation: Components) -> "Invoice":
        """Return the invoice after the allocation. A counter-entry, below zero, opens again one that was closed."""
        reopens = self.stated_state == "CLOSED" and allocation.total < 0
        return replace(
            self,
            allocated=self.allocated.plus(allocation),
            stated_state="OPEN" if reopens else self.stated_state,
        )
