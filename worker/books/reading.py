"""What a batch has to know: read and locked in its transaction, in one order for all workers."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import asyncpg

from schemas.registration import Identifier, Registration, WalletName
from worker.books.lookup import look_up
from worker.books.rows import columns
from worker.books.session import Connection
from worker.books.sql import query
from worker.books.wallets import lock_wallets
from worker.domain.allocation import Components
from worker.domain.booking import BookedLine, Booking
from worker.domain.policy import DuplicateCheck, Policy
from worker.domain.request import Request
from worker.domain.verdict import Twin
from worker.domain.view import Held, PaymentName, View
from worker.domain.wallet import Wallet


async def read_view(connection: Connection, requests: Sequence[Request], policies: Mapping[str, Policy]) -> View:
    """Return what the books say to the requests. Invoices, then wallets, stay locked until the transaction ends."""
    cancelled = {
        (request.company, request.cancellation.payment_key) for request in requests if request.cancellation is not None
    }
    wanted = {
        (company, identifier)
        for company, registration in _registrations(requests)
        for line in registration.lines
        for identifier in line.identifiers
    }
    keys = sorted({request.identity for request in requests} | cancelled)
    held, invoices = await look_up(connection, keys, cancelled, wanted, policies.values())
    bookings = await _find_bookings(connection, {name: held[name] for name in cancelled if held[name].is_booked})
    named = {
        (invoice.company, Identifier(kind, value)): invoice.id
        for invoice in invoices
        for kind, value in invoice.identifiers.items()
    }
    wallets = await _lock_wallets(connection, requests, bookings.values())
    return View(
        held=held,
        invoices={invoice.id: invoice for invoice in invoices},
        named=named,
        foreign=await _find_foreign(connection, sorted(wanted - named.keys())),
        twins=await _find_twins(connection, requests, named, policies),
        wallets={wallet.id: wallet for wallet in wallets},
        wallets_named={
            (wallet.company, WalletName(kind, value)): wallet.id
            for wallet in wallets
            for kind, value in wallet.names.items()
        },
        bookings=bookings,
        foreign_payments=await _find_foreign_payments(
            connection, sorted(name for name in cancelled if not held[name].has_come)
        ),
    )


def _registrations(requests: Sequence[Request]) -> Iterator[tuple[str, Registration]]:
    return ((request.company, request.registration) for request in requests if request.registration is not None)


async def _find_bookings(connection: Connection, booked: Mapping[PaymentName, Held]) -> dict[PaymentName, Booking]:
    """Return what the payments put where. They need no lock: the entries of a booked payment never change."""
    if not booked:
        return {}
    rows = await connection.fetch(query("find_bookings"), [held.payment_id for held in booked.values()])
    found = {payment_id: _booking(list(lines)) for payment_id, lines in groupby(rows, itemgetter("id"))}
    return {name: found[held.payment_id] for name, held in booked.items()}


def _booking(lines: Sequence[asyncpg.Record]) -> Booking:
    payment = lines[0]
    return Booking(
        payment_id=payment["id"],
        currency=payment["currency"],
        paydate=payment["paydate"],
        payment_type=payment["payment_type"],
        settled_by=payment["settled_by"],
        surcharge_minor=payment["surcharge"],
        wallet_id=payment["wallet"],
        lines=tuple(
            BookedLine(
                invoice_id=line["invoice_id"],
                amount_minor=line["amount"],
                allocation=Components(line["capital"], line["interest"], line["noticefee"]),
                written_off=Components(
                    line["capital_written_off"], line["interest_written_off"], line["noticefee_written_off"]
                ),
                references=json.loads(line["line_references"] or "{}"),
            )
            for line in lines
        ),
    )


async def _find_foreign(
    connection: Connection, unknown: Sequence[tuple[str, Identifier]]
) -> frozenset[tuple[str, Identifier]]:
    if not unknown:
        return frozenset()
    names = columns([(company, *identifier) for company, identifier in unknown])
    return frozenset(unknown[row["ord"] - 1] for row in await connection.fetch(query("find_foreign"), *names))


async def _find_foreign_payments(connection: Connection, unknown: Sequence[PaymentName]) -> frozenset[PaymentName]:
    if not unknown:
        return frozenset()
    rows = await connection.fetch(query("find_foreign_payments"), *columns(unknown))
    return frozenset(unknown[row["ord"] - 1] for row in rows)


async def _find_twins(
    connection: Connection,
    requests: Sequence[Request],
    named: Mapping[tuple[str, Identifier], int],
    policies: Mapping[str, Policy],
) -> Counter[Twin]:
    """Return what may be twins of the requests, for the companies that ask for it."""
    checked = [
        (company, registration)
        for company, registration in _registrations(requests)
        if policies[company].duplicates is not DuplicateCheck.OFF
    ]
    invoice_ids = {
        named.get((company, identifier))
        for company, registration in checked
        for line in registration.lines
        for identifier in line.identifiers
    } - {None}
    if not invoice_ids:
        return Counter()
    paydates = {registration.paydate for _, registration in checked}
    rows = await connection.fetch(query("find_twins"), list(invoice_ids), list(paydates))
    return Counter(Twin(**row) for row in rows)


async def _lock_wallets(
    connection: Connection, requests: Sequence[Request], bookings: Iterable[Booking]
) -> Sequence[Wallet]:
    """Return the wallets that are to be drawn from, and those that were and are given back to."""
    wanted = {
        (company, registration.wallet)
        for company, registration in _registrations(requests)
        if registration.wallet is not None
    }
    ids = {booking.wallet_id for booking in bookings if booking.wallet_id is not None}
    return await lock_wallets(connection, wanted, ids) if wanted or ids else []
