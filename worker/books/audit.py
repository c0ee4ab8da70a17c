"""Whether the books add up: read whole, in one snapshot, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.books.checks import WALKS, Finding, Findings, check
from worker.books.session import Session
from worker.books.sql import query
from worker.limits import FINDINGS_OF_A_KIND_MAX

SETTINGS = """
SET LOCAL statement_timeout = 0;
SET LOCAL work_mem = '64MB';
SET LOCAL enable_parallel_hash = off;
SET LOCAL jit = off;
"""
"""A million rows take longer and more room than a batch. Parallel hash joins would share theirs in /dev/shm, of which a
container has 64 MB by default. Compiling the statements costs more than it gains."""


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
    """Check promise 5 over the whole database. Raises as Session.transaction() does."""
    findings = Findings(findings_max)
    async with session.transaction(isolation="repeatable_read", readonly=True) as connection:
        await connection.execute(SETTINGS)
        counts = await connection.fetchrow(query("audit_counts"))
        sums = await connection.fetch(query("audit_sums"))
        for name, walk in WALKS.items():
            await check(connection, name, walk.whole, findings)
    return Audit(
        counts=dict(counts or {}),
        sums=[Sums(row["currency"], *(int(amount) for amount in tuple(row)[1:])) for row in sums],
        found=dict(findings.counts),
        findings=findings.first,
    )
