"""The audit of tolerance, write-offs, surcharges and wallets: the sums explain themselves, and damage is found."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.integration.audited_books import PAYMENT, Books, findings_told
from tests.integration.cancelled_books import cancelled_books
from tests.places import Database
from worker.books.audit import Sums

PART, UNKNOWN, SHORT_KEPT, DRAWN_KEPT = (PAYMENT.format(key) for key in ("part", "unknown", "short-kept", "drawn-kept"))
OURS, THEIRS = (
    f"(SELECT id FROM wallets WHERE company = '{company}' AND number = 'W1')" for company in ("acme", "other")
)


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with cancelled_books(database) as books:
        yield books


async def test_the_sums_tell_written_off_drawn_and_received_apart_and_leave_out_what_was_cancelled(
    books: Books,
) -> None:
    result = await books.audit()

    assert result.sums == [
        Sums(
            "EUR",
            stated=95750,
            allocated=27500,
            open=68250,
            tolerated=200,
            booked=28300,
            focused=27300,
            unfocused=1000,
            received=23800,
            from_wallets=3000,
            written_off=1500,
        ),
        Sums(
            "USD",
            stated=9000,
            allocated=4000,
            open=5000,
            tolerated=0,
            booked=4000,
            focused=4000,
            unfocused=0,
            received=0,
            from_wallets=4000,
            written_off=0,
        ),
    ]


async def test_the_command_explains_the_sums(books: Books) -> None:
    sound = await books.command()
    await books.damage("UPDATE invoices SET capital_allocated = capital_allocated - 1 WHERE billcode = 'part'")
    damaged = await books.command()

    assert sound.stdout.splitlines() == [
        (
            "Checked 8 invoices, 3 wallets, 30 payments (13 booked, 6 cancellations), 27 allocations, 30 outcomes, "
            "31 to publish."
        ),
        "EUR of invoices: 957.50 = 275.00 allocated + 682.50 open",
        "EUR allocated: 275.00 = 273.00 focused + 2.00 written off by tolerance",
        "EUR of payments: 283.00 = 273.00 focused + 10.00 unfocused",
        "EUR of payments: 283.00 = 238.00 received + 30.00 from wallets + 15.00 written off",
        "USD of invoices: 90.00 = 40.00 allocated + 50.00 open",
        "USD of payments: 40.00 = 40.00 focused + 0.00 unfocused",
        "USD of payments: 40.00 = 0.00 received + 40.00 from wallets + 0.00 written off",
        "The books add up.",
    ]
    assert "EUR allocated: 274.99 is not 273.00 focused + 2.00 written off by tolerance" in damaged.stdout


async def test_events_from_before_there_were_write_offs_and_surcharges_are_not_held_to_them(books: Books) -> None:
    event = await books.event(PART)
    new = {"settled_by", "surcharge", "cancels", "writtenoffcapital", "writtenoffinterest", "writtenoffnoticefee"}
    assert new < event.keys()

    await books.tell(PART, {name: value for name, value in event.items() if name not in new})

    assert (await books.audit()).adds_up


DAMAGE = {
    "a tolerance of another amount than its parts": (
        f"UPDATE allocations SET amount = amount + 1 WHERE payment_id = {SHORT_KEPT} AND entry = 'tolerance'",
        "allocation_out_of_bounds: acme, short-kept, billcode small: expected 2.01 in all; found capital 2.00",
    ),
    "a missing tolerance": (
        f"DELETE FROM allocations WHERE payment_id = {SHORT_KEPT} AND entry = 'tolerance'",
        "invoice_allocated: acme, billcode small: expected allocated capital 38.00; found allocated capital 40.00",
        (
            "outcome_disagrees: acme, short-kept: expected writtenoffcapital 0.00, lines.1.writtenoffcapital 0.00; "
            "found writtenoffcapital 2.00, lines.1.writtenoffcapital 2.00"
        ),
    ),
    "a payment that says otherwise how it was paid": (
        f"UPDATE payments SET surcharge = 1, settled_by = 'write_off' WHERE id = {PART}",
        (
            "outcome_disagrees: acme, part: expected surcharge 0.01, settled_by write_off; "
            "found surcharge 0.00, settled_by money"
        ),
    ),
    "a wallet drawn a cent more than was paid": (
        f"UPDATE wallets SET drawn = drawn + 1 WHERE id = {OURS}",
        "wallet_drawn: acme, wallet number W1: expected drawn 30.00; found drawn 30.01",
    ),
    "a wallet drawn above its funds": (
        f"UPDATE wallets SET unconditional = 2999 WHERE id = {OURS}",
        "wallet_drawn_out_of_bounds: acme, wallet number W1: expected drawn 0 to 29.99; found drawn 30.00",
    ),
    "a wallet drawn below zero": (
        f"UPDATE wallets SET drawn = -1 WHERE id = {THEIRS}",
        "wallet_drawn: other, wallet number W1: expected drawn 0.00; found drawn -0.01",
        "wallet_drawn_out_of_bounds: other, wallet number W1: expected drawn 0 to 90.00; found drawn -0.01",
    ),
    "a draw of a payment that is not booked": (
        f"UPDATE payments SET wallet = {OURS} WHERE id = {UNKNOWN}",
        "draw_of_unbooked: acme, unknown, wallet number W1: expected statusid 6 or a cancellation; found statusid 10",
    ),
    "a draw on another company's wallet": (
        f"UPDATE payments SET wallet = {THEIRS} WHERE id = {DRAWN_KEPT}",
        (
            "draw_on_stranger: acme, drawn-kept, wallet number W1: expected a wallet of acme in EUR; "
            "found one of other in EUR"
        ),
        "wallet_drawn: acme, wallet number W1: expected drawn 0.00; found drawn 30.00",
        "wallet_drawn: other, wallet number W1: expected drawn 30.00; found drawn 0.00",
    ),
    "a draw on a wallet of another currency": (
        f"UPDATE wallets SET currency = 'KWD' WHERE id = {OURS}",
        (
            "draw_on_stranger: acme, drawn-kept, wallet number W1: expected a wallet of acme in EUR; "
            "found one of acme in KWD"
        ),
    ),
    "a draw on a wallet that is gone": (
        f"UPDATE payments SET wallet = 0 WHERE id = {DRAWN_KEPT}",
        "draw_on_stranger: acme, drawn-kept: expected a wallet of acme in EUR; found no wallet ID",
        "wallet_drawn: acme, wallet number W1: expected drawn 0.00; found drawn 30.00",
    ),
}
"""What was done → the statement that did it, and the lines that tell of it; components of zero are left out."""


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_and_named(books: Books, damage: str) -> None:
    sql, *lines = DAMAGE[damage]

    await books.damage(sql)
    told = findings_told(await books.audit())

    assert [line.replace(", interest 0.00, noticefee 0.00", "") for line in told] == sorted(lines)


async def test_a_wallet_is_named_to_programs_too(books: Books) -> None:
    await books.damage(f"UPDATE wallets SET drawn = drawn + 1 WHERE id = {OURS}")
    said = json.loads((await books.command("--json")).stdout)

    assert said["sums"][0]["from_wallets"] == "30.00"
    assert said["findings"] == [
        {
            "kind": "wallet_drawn",
            "company": "acme",
            "idempotency_key": None,
            "invoice": None,
            "wallet": "number W1",
            "expected": "drawn 30.00",
            "found": "drawn 30.01",
            "subject": f"wallet {await books.value(f'SELECT {OURS}')}",
        }
    ]
