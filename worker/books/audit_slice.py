"""The audit in slices: a round visits all that was there when it began, each slice in a short transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from worker.books.checks import WALKS, Findings, Place, Range, after, check, ending
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.limits import AUDIT_STATEMENT_TIMEOUT_MS

SETTINGS = f"""
SET LOCAL statement_timeout = {AUDIT_STATEMENT_TIMEOUT_MS};
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL jit = off;
"""
"""Each slice is planned for its own range and by the indexes, whatever the statistics say, and takes one process."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What was checked at one moment: so many rows of that walk."""

    walk: str
    rows: int
    findings: Findings


class Round:
    """One way through the books, from the first invoice to the last row of the outbox."""

    def __init__(self) -> None:
        self._ahead: list[tuple[str, Range]] | None = None
        """The walks that are left; nothing is known of them before the first slice."""

    @property
    def is_over(self) -> bool:
        return self._ahead == []

    async def check(self, session: Session, rows_max: int, findings_max: int) -> Slice | None:
        """Check the next slice; None where there is nothing to check. Raises as Session.transaction() does.

        Whatever is raised, the round stands where it stood. rows_max: of payments, invoices or whatever is walked
        through, and about as many allocations. findings_max: of a kind; the rest of it is only counted.
        """
        async with _snapshot(session) as connection:
            ahead = self._ahead if self._ahead is not None else await _ahead(connection)
            findings = Findings(findings_max)
            if ahead:
                walk, part = ahead[0]
                last, rows = await ending(connection, walk, part, rows_max)
                await check(connection, walk, Range(part.first, last), findings)
        self._ahead = _behind(ahead, last) if ahead else ahead
        return Slice(walk, rows, findings) if ahead else None

    async def step_over(self, session: Session) -> str:
        """Leave out the next row, which cannot be checked in the time a slice has, and say what was left out."""
        async with _snapshot(session) as connection:
            ahead = self._ahead if self._ahead is not None else await _ahead(connection)
            walk, part = ahead[0]
            last, _ = await ending(connection, walk, part, 1)
        self._ahead = _behind(ahead, last)
        return f"{walk} {part.first} to {last}"


def _behind(ahead: list[tuple[str, Range]], last: Place) -> list[tuple[str, Range]]:
    """Return what is left behind that place of the first walk."""
    (walk, part), *others = ahead
    return others if last == part.last else [(walk, Range(after(last), part.last)), *others]


async def _ahead(connection: Connection) -> list[tuple[str, Range]]:
    ends = await connection.fetchrow(query("audit_ends"))
    places = dict(ends or {})
    return [
        (name, Range(walk.whole.first, places[name])) for name, walk in WALKS.items() if places.get(name) is not None
    ]


@asynccontextmanager
async def _snapshot(session: Session) -> AsyncIterator[Connection]:
    async with session.transaction(isolation="repeatable_read", readonly=True) as connection:
        await connection.execute(SETTINGS)
        yield connection
