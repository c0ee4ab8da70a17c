"""A file of invoices into the books: copied beside them, judged there as a whole, then written in one go or not at all.

Copying and judging a long file hold no lock; only what is written at the end holds the invoices that it changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from schemas.invoice import InvoicePut
from schemas.money import MINOR_DIGITS
from schemas.registration import IDENTIFIER_KINDS, Identifier
from worker.books.invoices import named_columns
from worker.books.pending import awaited_name
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.policy import Policy

_COLUMNS = (
    "line",
    *("jobid", "billcode", "billnum", "reference_number", "back_office_code", "external_id"),
    *("account_id", "account_number", "account_name"),
    *("currency", "stated_state", "due_date", "version", "capital", "interest", "noticefee"),
)


class Row(NamedTuple):
    """A row of the file. Without a version it is the invoice's next, and put.version means nothing."""

    line: int
    put: InvoicePut
    has_version: bool


class WrongRow(NamedTuple):
    """A row that cannot be imported, and why."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Imported:
    """How many rows did what."""

    created: int
    updated: int
    ignored: int


async def begin_import(connection: Connection) -> None:
    """Make room beside the books. The connection is in the transaction that the whole import takes."""
    await connection.execute(query("create_import"))


async def copy_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """Copy rows of the file there; call it as often as there are more."""
    await connection.copy_records_to_table("import_rows", records=map(_record, rows), columns=_COLUMNS)


async def judge_import(connection: Connection, policy: Policy, wrong_rows_max: int) -> tuple[list[WrongRow], int]:
    """Lock the invoices named; return the first rows that cannot be imported, and how many there are in all."""
    await connection.execute(query("analyze_import"))
    await connection.execute(query("lock_import"), policy.company)
    await connection.execute(query("match_import"))
    await connection.execute(
        query("judge_import"), policy.currency, list(MINOR_DIGITS.keys()), list(MINOR_DIGITS.values())
    )
    found = await connection.fetch(query("wrong_in_import"), wrong_rows_max)
    return [WrongRow(row["line"], row["wrong"]) for row in found], found[0]["wrong_rows"] if found else 0


async def write_import(connection: Connection, policy: Policy, rows: int, now: datetime) -> Imported:
    """Write what was judged, none of it wrong, and wake the payments that await one of the invoices."""
    updated = _count(await connection.execute(query("update_from_import")))
    created = _count(await connection.execute(query("insert_from_import"), policy.company))
    prefixes = [awaited_name(policy.company, Identifier(kind, "")) for kind in IDENTIFIER_KINDS]
    await connection.execute(query("wake_from_import"), now, prefixes)
    return Imported(created, updated, ignored=rows - created - updated)


def _record(row: Row) -> tuple[object, ...]:
    put = row.put
    return (
        row.line,
        *named_columns(put),
        put.currency,
        put.state,
        put.due_date,
        put.version if row.has_version else None,
        put.capital,
        put.interest,
        put.noticefee,
    )


def _count(status: str) -> int:
    """Return the rows of a status such as "INSERT 0 5"."""
    return int(status.rpartition(" ")[2])
