"""What the audit checks, over all of a table or a range of it: the same statements either way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from schemas.money import MINOR_DIGITS
from worker.books.session import Connection
from worker.books.sql import query

Place = int | UUID
"""Where in a walk: the id of a payment, an invoice, a wallet or an outbox row, or of an event."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up, of a payment (company and key), an invoice or wallet, or both.

    Amounts are decimal text. The subject is what the database knows it by, such as `payment 4711`.
    """

    kind: str
    company: str | None
    idempotency_key: str | None
    invoice: str | None
    wallet: str | None
    expected: str
    found: str
    subject: str


@dataclass(slots=True)
class Findings:
    """All that was found, counted by kind, and the first of each kind."""

    of_a_kind_max: int
    counts: Counter[str] = field(default_factory=Counter)
    first: list[Finding] = field(default_factory=list)
    _told: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Sequence[asyncpg.Record]) -> None:
        """Add what one statement found."""
        self.counts.update({row["kind"]: row["of_kind"] for row in rows})
        for row in rows:
            *fields, _ = tuple(row)
            if self._told[row["kind"]] < self.of_a_kind_max:
                self._told[row["kind"]] += 1
                self.first.append(Finding(*fields))


class Range(NamedTuple):
    """A part of a walk, both ends included."""

    first: Place
    last: Place


class Check(NamedTuple):
    """A statement, and how many of (findings at most, first, last, currencies, units, is unreadable) it takes."""

    name: str
    arguments: int


EVERY_ID: Final = Range(-(2**63), 2**63 - 1)
EVERY_EVENT: Final = Range(UUID(int=0), UUID(int=2**128 - 1))


class Walk(NamedTuple):
    """A way through a table by its key, and what is checked on the way."""

    whole: Range
    checks: Sequence[Check]


WALKS: Final[Mapping[str, Walk]] = MappingProxyType(
    {
        "invoices": Walk(EVERY_ID, (Check("audit_invoices", 5),)),
        "wallets": Walk(EVERY_ID, (Check("audit_wallets", 5),)),
        "payments": Walk(
            EVERY_ID,
            (
                Check("audit_allocations", 5),
                Check("audit_cancellations", 5),
                Check("audit_draws", 3),
                Check("audit_pending", 3),
                Check("audit_payments", 6),
            ),
        ),
        "outcomes": Walk(EVERY_EVENT, (Check("audit_outcomes", 6),)),
        "outbox": Walk(EVERY_ID, (Check("audit_outbox", 3),)),
    }
)
_ALL_ROWS: Final = 2**62
_UNITS: Final = [Decimal(1).scaleb(-digits) for digits in MINOR_DIGITS.values()]


async def check(connection: Connection, walk: str, part: Range, findings: Findings) -> None:
    """Add what does not add up in that part of a walk. Needs a transaction, so that all is seen at one moment."""
    for each in WALKS[walk].checks:
        await _check(connection, walk, each, part, findings)


async def _check(connection: Connection, walk: str, each: Check, part: Range, findings: Findings) -> None:
    try:
        async with connection.transaction():
            findings.add(await _fetch(connection, each, part, findings))
    except asyncpg.DataError:
        # Postgres cannot read one of the events and does not say which. That is damage too, so it is looked for.
        _, rows = await ending(connection, walk, part, _ALL_ROWS)
        if rows <= 1:
            findings.add(await _fetch(connection, each, part, findings, is_unreadable=True))
            return
        middle, _ = await ending(connection, walk, part, rows // 2)
        await _check(connection, walk, each, Range(part.first, middle), findings)
        await _check(connection, walk, each, Range(after(middle), part.last), findings)


async def _fetch(
    connection: Connection, each: Check, part: Range, findings: Findings, *, is_unreadable: bool = False
) -> list[asyncpg.Record]:
    given = arguments(findings, part, is_unreadable=is_unreadable)
    return await connection.fetch(query(each.name), *given[: each.arguments])


def arguments(findings: Findings, part: Range, *, is_unreadable: bool = False) -> list[object]:
    """Return what the statements take, each as many as it needs from the front."""
    return [findings.of_a_kind_max, *part, list(MINOR_DIGITS), _UNITS, is_unreadable]


async def ending(connection: Connection, walk: str, part: Range, rows_max: int) -> tuple[Place, int]:
    """Return where the first so many rows of that part end, and how many there are."""
    row = await connection.fetchrow(query(f"audit_slice_{walk}"), *part, rows_max)
    if row is None:
        raise AssertionError("an aggregate without GROUP BY has a row")
    return row["last"], row["rows"]


def after(place: Place) -> Place:
    """Return the next place."""
    return UUID(int=place.int + 1) if isinstance(place, UUID) else place + 1
