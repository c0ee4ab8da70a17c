"""What stands under the names that requests and statements give: payments by their keys, invoices by any of theirs."""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import asyncpg

from schemas.outcome import Status
from schemas.registration import Identifier
from worker.books.invoices import to_invoice
from worker.books.rows import columns
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.errors import PolicyChangedError
from worker.domain.invoice import Invoice
from worker.domain.policy import Policy
from worker.domain.view import Held, PaymentName


class Found(NamedTuple):
    """What is held under each key that was asked for, and the invoices, locked until the transaction ends."""

    held: dict[PaymentName, Held]
    invoices: list[Invoice]


async def look_up(
    connection: Connection,
    keys: Sequence[PaymentName],
    cancelled: AbstractSet[PaymentName],
    wanted: Collection[tuple[str, Identifier]],
    policies: Iterable[Policy] = (),
) -> Found:
    """Look the keys up, and lock the invoices in the order of their ids, in one statement.

    cancelled: of the keys those to be cancelled; the invoices that their payments were booked on are locked too.
    wanted: by what names (company, identifier) invoices are to be found. policies: by which all that was worked out.

    Raises PolicyChangedError where one of the policies, of those that were read from the books, has been changed since.
    """
    versions = [(policy.company, policy.row_version) for policy in policies if policy.row_version is not None]
    rows = await connection.fetch(
        query("look_up"),
        *(columns([(*name, name in cancelled) for name in keys]) or ([], [], [])),
        *(columns([(company, *identifier) for company, identifier in wanted]) or ([], [], [])),
        *(columns(versions) or ([], [])),
    )
    if rows and rows[0]["is_stale"]:
        raise PolicyChangedError("a company's policy was changed after it had been read")
    return Found(
        {keys[row["ord"] - 1]: _held(row) for row in rows if row["payment_id"] is not None},
        [to_invoice(row) for row in rows if row["id"] is not None],
    )


async def lock_invoices(connection: Connection, wanted: Iterable[tuple[str, Identifier]]) -> list[Invoice]:
    """Return the invoices that go by any of the names (company, identifier), locked in the order of their ids."""
    return (await look_up(connection, [], frozenset(), list(wanted))).invoices


def _held(row: asyncpg.Record) -> Held:
    return Held(
        payment_id=row["payment_id"],
        fingerprint=row["fingerprint"],
        status=None if row["statusid"] is None else Status(row["statusid"]),
        event_id=row["event_id"],
        currency=row["held_currency"],
        awaited_since=row["awaited_since"],
        is_cancelled=row["is_cancelled"],
        is_cancellation=row["is_cancellation"],
    )
