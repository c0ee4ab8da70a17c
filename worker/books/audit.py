"""Whether the books add up: read whole, in one snapshot, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import asyncpg

from schemas.codec import read_json
from schemas.invalid import MalformedJsonError
from schemas.money import MINOR_DIGITS
from worker.books.session import Connection, Session
from worker.books.sql import query

FINDINGS_OF_A_KIND_MAX = 100
"""Findings told one by one; the rest of their kind is only counted."""
SETTINGS = """
SET LOCAL statement_timeout = 0;
SET LOCAL work_mem = '64MB';
SET LOCAL enable_parallel_hash = off;
SET LOCAL jit = off;
"""
"""A million rows take longer and more room than a batch. Parallel hash joins would share theirs in /dev/shm, of which a
container has 64 MB by default. Compiling the statements costs more than it gains."""
BODIES_AT_A_TIME = 1_000

_WITH_AMOUNTS = ("audit_invoices", "audit_wallets", "audit_allocations", "audit_cancellations")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up, of a payment (company and key), an invoice or wallet, or both.

    Amounts are decimal text.
    """

    kind: str
    company: str | None
    idempotency_key: str | None
    invoice: str | None
    wallet: str | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Sums:
    """All amounts of a currency, in its minor units: of the invoices, then of the payments, net of what was cancelled.

    stated = allocated + open, allocated = focused + tolerated, and booked = focused + unfocused
    = received + from_wallets + written_off.
    """

    currency: str
    stated: int
    allocated: int
    open: int
    tolerated: int
    """Written off beside payments, by the companies' tolerance."""
    booked: int
    focused: int
    unfocused: int
    received: int
    """Money. What else is booked came from wallets' funds, or nobody paid it."""
    from_wallets: int
    written_off: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What was checked and found. `found` counts all findings by kind; `findings` are the first of each kind."""

    counts: Mapping[str, int]
    sums: Sequence[Sums]
    found: Mapping[str, int]
    findings: Sequence[Finding]

    @property
    def adds_up(self) -> bool:
        return not self.found


async def audit(session: Session, findings_max: int = FINDINGS_OF_A_KIND_MAX) -> Audit:
    """Check promise 5 over the whole database. Raises as Session.connection() does."""
    async with (
        session.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(SETTINGS)
        counts = await connection.fetchrow(query("audit_counts"))
        sums = await connection.fetch(query("audit_sums"))
        units = [Decimal(1).scaleb(-digits) for digits in MINOR_DIGITS.values()]
        amounts = (findings_max, list(MINOR_DIGITS), units)
        rows = [row for name in _WITH_AMOUNTS for row in await connection.fetch(query(name), *amounts)]
        rows += await _check_payments(connection, amounts)
        rows += await connection.fetch(query("audit_outcomes"), findings_max)
    return Audit(
        counts=dict(counts or {}),
        sums=[Sums(row["currency"], *(int(amount) for amount in tuple(row)[1:])) for row in sums],
        found={row["kind"]: row["of_kind"] for row in rows},
        findings=[Finding(*tuple(row)[:-1]) for row in rows],
    )


async def _check_payments(
    connection: Connection, amounts: tuple[int, list[str], list[Decimal]]
) -> list[asyncpg.Record]:
    try:
        async with connection.transaction():
            return await connection.fetch(query("audit_payments"), *amounts, [])
    except asyncpg.DataError:
        # Postgres cannot read one of the events and does not say which. That is damage too, so it is looked for.
        return await connection.fetch(query("audit_payments"), *amounts, await _unreadable(connection))


async def _unreadable(connection: Connection) -> list[UUID]:
    return [
        row["event_id"]
        async for row in connection.cursor(query("audit_bodies"), prefetch=BODIES_AT_A_TIME)
        if not _is_readable(row["body"])
    ]


def _is_readable(body: bytes) -> bool:
    """Say whether Postgres can read it as JSON: no NUL in a text, for all that JSON allows it."""
    try:
        read_json(body)
    except MalformedJsonError:
        return False
    return b"\\u0000" not in body
