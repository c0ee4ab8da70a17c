"""Statements of invoices, a batch in a transaction."""

from collections.abc import Sequence
from datetime import datetime

from schemas.invoice import InvoicePut
from schemas.registration import Identifier
from worker.books.invoices import named_columns
from worker.books.lookup import lock_invoices
from worker.books.pending import awaited_name, wake_pending
from worker.books.rows import columns
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.domain.errors import RefusedError
from worker.domain.policy import Policy
from worker.domain.statement import Statement, state

Put = tuple[Policy, InvoicePut]


async def put_invoices(session: Session, puts: Sequence[Put], now: datetime) -> dict[int, RefusedError]:
    """State the invoices, in order and in one transaction; return the refusals by index into puts.

    Raises as Session.transaction() does; then nothing was written.
    """
    refusals: dict[int, RefusedError] = {}
    if not puts:
        return refusals
    async with session.transaction() as connection:
        # All at once and in one order; what is locked already can be read again at any time.
        await lock_invoices(connection, _names(puts))
        start = 0
        while start < len(puts):
            statements, start = await _run(connection, puts, start, refusals)
            await _write(connection, statements)
        names = [awaited_name(company, identifier) for company, identifier in _names(puts)]
        await wake_pending(connection, names, now)
    return refusals


def _names(puts: Sequence[Put]) -> set[tuple[str, Identifier]]:
    return {(policy.company, identifier) for policy, put in puts for identifier in put.identifiers()}


async def _run(
    connection: Connection, puts: Sequence[Put], start: int, refusals: dict[int, RefusedError]
) -> tuple[list[Statement], int]:
    """Return the statements from there up to the first that needs to see what one before it wrote, and where that is.

    Two may mean one invoice under two names, so it is the invoices that tell, and for new ones the names.
    """
    named = {
        (invoice.company, Identifier(kind, value)): invoice
        for invoice in await lock_invoices(connection, _names(puts[start:]))
        for kind, value in invoice.identifiers.items()
    }
    statements: list[Statement] = []
    written: set[int | tuple[str, Identifier]] = set()
    for index in range(start, len(puts)):
        policy, put = puts[index]
        names = [(policy.company, identifier) for identifier in put.identifiers()]
        known = {named[name].id: named[name] for name in names if name in named}
        if not written.isdisjoint((*known, *names)):
            return statements, index
        try:
            statement = state(put, policy.company, policy.currency, list(known.values()))
        except RefusedError as refusal:
            refusals[index] = refusal
            continue
        if statement is not None:
            statements.append(statement)
            written.update(known, names)
    return statements, len(puts)


async def _write(connection: Connection, statements: Sequence[Statement]) -> None:
    new = [_row(statement) for statement in statements if statement.invoice_id is None]
    if new:
        await connection.execute(query("insert_invoices"), *columns(new))
    known = [
        (statement.invoice_id, *_row(statement)[1:]) for statement in statements if statement.invoice_id is not None
    ]
    if known:
        await connection.execute(query("update_invoices"), *columns(known))


def _row(statement: Statement) -> tuple[object, ...]:
    put = statement.put
    return (
        statement.company,
        *named_columns(put),
        statement.currency,
        put.state,
        put.due_date,
        put.version,
        *statement.stated,
    )
