"""What the books say to a batch, and what of it changes while the batch is settled."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property
from uuid import UUID

from msgspec.structs import replace

from schemas.outcome import Status
from schemas.registration import Identifier, WalletName
from schemas.value import Value
from worker.domain.booking import Booking
from worker.domain.invoice import Invoice
from worker.domain.matching import Shelf
from worker.domain.request import Request
from worker.domain.verdict import Twin
from worker.domain.wallet import Wallet

PaymentName = tuple[str, str]
"""(company, idempotency key)."""


class Held(Value, frozen=True):
    """What the books hold under a key. A key that is new has a payment id and nothing else."""

    payment_id: int
    fingerprint: bytes | None = None
    status: Status | None = None
    event_id: UUID | None = None
    currency: str | None = None
    awaited_since: datetime | None = None
    is_cancelled: bool = False
    """A cancellation named this payment: it is booked no more, or never will be. It may not even have come yet."""
    is_cancellation: bool = False
    """It is itself a cancellation that was done."""

    @property
    def is_booked(self) -> bool:
        return self.status is Status.OHISPAY

    @property
    def is_used_up(self) -> bool:
        """Say whether the key moved money, so that nothing else can come under it."""
        return self.is_booked or self.is_cancellation

    @property
    def has_come(self) -> bool:
        """False where nothing is known of the key but that a cancellation named it."""
        return self.event_id is not None

    def waits_for(self, request: Request) -> bool:
        """Say whether this is still what the request was held for: another delivery may have had its answer since."""
        return self.status is Status.UNDONE and self.fingerprint == request.fingerprint

    def waiting_since(self, now: datetime) -> datetime:
        """Return since when an unknown invoice is awaited: since now where that was to begin on a later day."""
        return min(self.awaited_since or now, now)


@dataclass(slots=True)
class View:
    """Read and locked in the batch's transaction; a copy of it is kept current while the batch is settled."""

    held: dict[PaymentName, Held]
    invoices: dict[int, Invoice]
    named: Mapping[tuple[str, Identifier], int]
    """(company, identifier) → invoice id."""
    foreign: frozenset[tuple[str, Identifier]] = frozenset()
    twins: Counter[Twin] = field(default_factory=Counter)
    wallets: dict[int, Wallet] = field(default_factory=dict)
    wallets_named: Mapping[tuple[str, WalletName], int] = field(default_factory=dict)
    bookings: dict[PaymentName, Booking] = field(default_factory=dict)
    """The booked payments that a cancellation of the batch names."""
    foreign_payments: frozenset[PaymentName] = frozenset()
    """Names of cancellations' payments whose key another company holds."""

    def copy(self) -> "View":
        """Return a view that can change while this one stays as it is."""
        return dataclasses.replace(
            self,
            held=self.held.copy(),
            invoices=self.invoices.copy(),
            twins=self.twins.copy(),
            wallets=self.wallets.copy(),
            bookings=self.bookings.copy(),
        )

    def shelf(self, request: Request) -> Shelf:
        """Return what the request's company has under the request's identifiers."""
        company, registration = request.company, request.registration
        invoices: dict[Identifier, Invoice] = {}
        foreign: set[Identifier] = set()
        for line in registration.lines if registration is not None else ():
            for identifier in line.identifiers:
                name = company, identifier
                number = self.named.get(name)
                if number is not None:
                    invoices[identifier] = self.invoices[number]
                elif name in self.foreign:
                    foreign.add(identifier)
        return Shelf(invoices, foreign)

    def wallet(self, request: Request) -> Wallet | None:
        """Return the wallet that the request's registration names, if the company has it."""
        if request.registration is None or request.registration.wallet is None:
            return None
        wallet_id = self.wallets_named.get((request.company, request.registration.wallet))
        return self.wallets[wallet_id] if wallet_id is not None else None

    def is_foreign_payment(self, name: PaymentName) -> bool:
        """Say whether another company has a payment under that key, in the books or out of this very batch."""
        company, key = name
        return name in self.foreign_payments or any(
            other_key == key and other != company and held.has_come for (other, other_key), held in self.held.items()
        )

    def mark_cancelled(self, name: PaymentName) -> None:
        """Let the payment never be booked any more."""
        self.held[name] = replace(self.held[name], is_cancelled=True)


@dataclass(frozen=True)
class Moment:
    """When a batch is settled, and in which time zone a payment date is a day."""

    now: datetime
    zone: tzinfo = UTC

    @cached_property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()
