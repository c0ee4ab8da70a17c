"""Statements of invoices, a batch in a transaction."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from schemas.invoice import InvoicePut
from schemas.registration import Identifier
from worker.books.invoices import lock_invoices
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
        for run in _runs(puts):
            statements = await _decide(connection, puts, run, refusals)
            await _write(connection, statements)
        names = {awaited_name(policy.company, identifier) for policy, put in puts for identifier in put.identifiers()}
        await wake_pending(connection, names, now)
    return refusals


def _runs(puts: Sequence[Put]) -> Iterator[range]:
    """Cut the puts into runs in which no identifier comes twice, so that each sees what the one before it wrote."""
    start = 0
    seen: set[tuple[str, Identifier]] = set()
    for index, (policy, put) in enumerate(puts):
        names = {(policy.company, identifier) for identifier in put.identifiers()}
        if seen & names:
            yield range(start, index)
            start, seen = index, set()
        seen |= names
    yield range(start, len(puts))


async def _decide(
    connection: Connection, puts: Sequence[Put], run: range, refusals: dict[int, RefusedError]
) -> list[Statement]:
    wanted = {(puts[index][0].company, name) for index in run for name in puts[index][1].identifiers()}
    invoices = await lock_invoices(connection, wanted)
    statements = []
    for index in run:
        policy, put = puts[index]
        names = put.identifiers()
        known = [
            invoice
            for invoice in invoices
            if invoice.company == policy.company and any(invoice.has(name) for name in names)
        ]
        try:
            statement = state(put, policy.company, policy.currency, known)
        except RefusedError as refusal:
            refusals[index] = refusal
            continue
        if statement is not None:
            statements.append(statement)
    return statements


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
    put, account = statement.put, statement.put.account
    return (
        statement.company,
        put.jobid,
        put.billcode,
        put.billnum,
        put.reference_number,
        put.back_office_code,
        put.external_id,
        account.id if account else None,
        account.number if account else None,
        account.name if account else None,
        statement.currency,
        put.state,
        put.due_date,
        put.version,
        *statement.stated,
    )
