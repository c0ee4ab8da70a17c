"""The one transaction: look the keys up, lock the invoices, let the rules decide, write all of it or nothing.

Keys are looked up without a lock and written last. Where another worker has taken one in between, the write comes up
short and the whole batch is undone and tried again. That way each payment is written once, with its verdict, instead of
being claimed first and updated later.
"""

import json
from collections.abc import Mapping, Sequence

from uuid_utils.compat import uuid7

from schemas.outcome import Status
from schemas.registration import Identifier
from worker.books.invoices import lock_invoices
from worker.books.pending import awaited_name
from worker.books.rows import columns
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.domain.errors import ContendedError
from worker.domain.message import ReturnAddress
from worker.domain.policy import DuplicateCheck, Policy
from worker.domain.request import Request
from worker.domain.settlement import Held, Moment, Settled, Settlement, View, settle
from worker.domain.verdict import Twin


async def settle_batch(
    session: Session, requests: Sequence[Request], policies: Mapping[str, Policy], moment: Moment
) -> list[Settlement]:
    """Settle the requests in their order in one transaction and return what was committed.

    Raises ContendedError where another worker wrote the same key first, and as Session.transaction() does. Whatever is
    raised, nothing was written, except for an UnavailableError on COMMIT, after which nobody knows.
    """
    async with session.transaction() as connection:
        view = await _read(connection, requests, policies)
        held_before = dict(view.held)
        settlements = settle(requests, view, policies, moment, uuid7)
        await _write(connection, settlements, held_before, policies, moment)
    return settlements


async def _read(connection: Connection, requests: Sequence[Request], policies: Mapping[str, Policy]) -> View:
    held = await _find_held(connection, requests)
    wanted = {
        (request.company, identifier)
        for request in requests
        if request.registration is not None
        for line in request.registration.lines
        for identifier in line.identifiers
    }
    invoices = await lock_invoices(connection, wanted)
    named = {
        (invoice.company, Identifier(kind, value)): invoice.id
        for invoice in invoices
        for kind, value in invoice.identifiers.items()
    }
    return View(
        held=held,
        invoices={invoice.id: invoice for invoice in invoices},
        named=named,
        foreign=await _find_foreign(connection, sorted(wanted - named.keys())),
        twins=await _find_twins(connection, requests, named, policies),
    )


async def _find_held(connection: Connection, requests: Sequence[Request]) -> dict[tuple[str, str], Held]:
    identities = sorted({request.identity for request in requests})
    rows = await connection.fetch(query("find_held"), *columns(identities))
    return {
        identities[row["ord"] - 1]: Held(
            payment_id=row["payment_id"],
            fingerprint=row["fingerprint"],
            status=None if row["statusid"] is None else Status(row["statusid"]),
            event_id=row["event_id"],
            awaited_since=row["awaited_since"],
        )
        for row in rows
    }


async def _find_foreign(
    connection: Connection, unknown: Sequence[tuple[str, Identifier]]
) -> frozenset[tuple[str, Identifier]]:
    if not unknown:
        return frozenset()
    names = columns([(company, *identifier) for company, identifier in unknown])
    return frozenset(unknown[row["ord"] - 1] for row in await connection.fetch(query("find_foreign"), *names))


async def _find_twins(
    connection: Connection,
    requests: Sequence[Request],
    named: Mapping[tuple[str, Identifier], int],
    policies: Mapping[str, Policy],
) -> set[Twin]:
    """Return what may be twins of the requests, for the companies that ask for it."""
    checked = [
        (request.company, request.registration)
        for request in requests
        if request.registration is not None and policies[request.company].duplicates is not DuplicateCheck.OFF
    ]
    invoice_ids = {
        named.get((company, identifier))
        for company, registration in checked
        for line in registration.lines
        for identifier in line.identifiers
    } - {None}
    if not invoice_ids:
        return set()
    paydates = {registration.paydate for _, registration in checked}
    rows = await connection.fetch(query("find_twins"), list(invoice_ids), list(paydates))
    return {Twin(**row) for row in rows}


async def _write(
    connection: Connection,
    settlements: Sequence[Settlement],
    held_before: Mapping[tuple[str, str], Held],
    policies: Mapping[str, Policy],
    moment: Moment,
) -> None:
    if not settlements:
        return
    settled = [settlement for settlement in settlements if isinstance(settlement, Settled)]
    # A key can come more than once in a batch; its payment is what the last of its verdicts says.
    final = {item.request.identity: item for item in settled if item.changes_payment}
    await _write_payments(connection, final, held_before, policies, moment)
    await _write_allocations(connection, [item for item in final.values() if item.verdict.is_booked], moment)
    await _write_outcomes(connection, settled, moment)
    await _write_outbox(connection, settlements)
    await _write_pending(connection, final, held_before)


async def _write_payments(
    connection: Connection,
    final: Mapping[tuple[str, str], Settled],
    held_before: Mapping[tuple[str, str], Held],
    policies: Mapping[str, Policy],
    moment: Moment,
) -> None:
    new = [_payment_row(item, policies) for identity, item in final.items() if held_before[identity].status is None]
    if new:
        written = await connection.execute(query("insert_payments"), *columns(new), moment.now)
        _expect(written, len(new))
    known = [
        (*_payment_row(item, policies), held_before[identity].event_id)
        for identity, item in final.items()
        if held_before[identity].status is not None
    ]
    if known:
        *row_columns, seen_event_ids = columns(known)
        written = await connection.execute(query("update_payments"), *row_columns, moment.now, seen_event_ids)
        _expect(written, len(known))


def _payment_row(item: Settled, policies: Mapping[str, Policy]) -> tuple[object, ...]:
    request, registration = item.request, item.request.registration
    return (
        item.payment_id,
        request.company,
        request.key,
        request.fingerprint,
        request.source.message_type,
        item.verdict.status.value,
        item.verdict.reason.value,
        registration.amount_minor if registration else 0,
        sum(line.unfocused for line in item.verdict.lines),
        registration.currency if registration else policies[request.company].currency,
        registration.paydate if registration else None,
        registration.payment_type if registration else None,
        item.event_id,
    )


async def _write_allocations(connection: Connection, booked: Sequence[Settled], moment: Moment) -> None:
    rows = [
        (
            item.payment_id,
            number,
            line.invoice.id,
            line.line.amount_minor,
            *line.allocation,
            json.dumps(dict(line.line.references)) if line.line.references else None,
        )
        for item in booked
        for number, line in enumerate(item.verdict.lines, start=1)
        if line.invoice is not None
    ]
    if rows:
        await connection.execute(query("insert_allocations"), *columns(rows), moment.now)


async def _write_outcomes(connection: Connection, settled: Sequence[Settled], moment: Moment) -> None:
    rows = [
        (
            item.event_id,
            item.request.company,
            item.payment_id,
            item.request.key,
            item.request.source.message_type,
            item.verdict.status.value,
            item.body,
        )
        for item in settled
    ]
    if rows:
        await connection.execute(query("insert_outcomes"), *columns(rows), moment.now)


async def _write_outbox(connection: Connection, settlements: Sequence[Settlement]) -> None:
    rows = [
        (item.event_id, not isinstance(item, Settled), *_address_row(item.request.return_address))
        for item in settlements
    ]
    await connection.execute(query("insert_outbox"), *columns(rows))


async def _write_pending(
    connection: Connection, final: Mapping[tuple[str, str], Settled], held_before: Mapping[tuple[str, str], Held]
) -> None:
    done = [
        item.payment_id
        for identity, item in final.items()
        if item.wake_at is None and held_before[identity].status is Status.UNDONE
    ]
    if done:
        await connection.execute(query("delete_pending"), done)
    undone = [
        (
            item.payment_id,
            item.awaited_since,
            item.wake_at,
            [awaited_name(item.request.company, identifier) for identifier in item.awaits],
            item.request.body,
            *_address_row(item.request.return_address),
        )
        for item in final.values()
        if item.wake_at is not None
    ]
    if undone:
        await connection.executemany(query("upsert_pending"), undone)


def _address_row(address: ReturnAddress) -> tuple[str | None, ...]:
    return address.correlation_id, address.reply_to, address.traceparent, address.tracestate


def _expect(command_tag: str, rows: int) -> None:
    if int(command_tag.rpartition(" ")[2]) != rows:
        raise ContendedError("another worker wrote one of the payments first")
