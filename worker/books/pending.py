"""Payments left undone, which the worker looks at again by itself."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from schemas.catalog import KEY_HEADER, TRACE_HEADERS
from schemas.registration import Identifier
from worker.books.session import Connection
from worker.books.sql import query
from worker.domain.message import Message
from worker.limits import PENDING_RECHECK_MAX_S, PENDING_RECHECK_MIN_S


class Pending(NamedTuple):
    """An undone payment: its message as it would come in again, key and all, and the fingerprint that it is held by."""

    message: Message
    fingerprint: bytes


async def take_pending(connection: Connection, now: datetime, rows_max: int) -> list[Pending]:
    """Return undone payments whose time has come."""
    bounds_s = PENDING_RECHECK_MIN_S, PENDING_RECHECK_MAX_S
    rows = await connection.fetch(query("take_pending"), now, rows_max, *bounds_s)
    return [
        Pending(
            Message(
                routing_key=f"registration.{row['company']}",
                body=row["body"],
                type=row["source"],
                correlation_id=row["correlation_id"],
                reply_to=row["reply_to"],
                headers={KEY_HEADER: row["idempotency_key"], **{name: row[name] for name in TRACE_HEADERS}},
            ),
            row["fingerprint"],
        )
        for row in rows
    ]


def awaited_name(company: str, identifier: Identifier) -> str:
    """Return the text under which an undone payment is woken when an invoice of that name arrives."""
    return f"{company} {identifier.kind} {identifier.value}"


async def wake_pending(connection: Connection, awaited_names: Iterable[str], now: datetime) -> None:
    """Let the payments that await one of the names be looked at now."""
    await connection.execute(query("wake_pending"), list(awaited_names), now)
