"""The audit of cancellations: sound books pass, and each kind of damage is found and named."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.audited_books import INVOICE, PAYMENT, Books, findings_told
from tests.integration.cancelled_books import cancelled_books
from tests.places import Database

PART, UNKNOWN, EARLY, SHORT = (PAYMENT.format(key) for key in ("part", "unknown", "early", "short"))
FOREIGN = "(SELECT id FROM payments WHERE company = 'other' AND idempotency_key = 'foreign')"
CANCEL_OVER, CANCEL_SHORT, CANCEL_BAD, CANCEL_DRAWN = (
    PAYMENT.format(f"cancel-{key}") for key in ("over", "short", "bad", "drawn")
)


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with cancelled_books(database) as books:
        yield books


async def test_books_with_cancellations_tolerance_wallets_and_write_offs_add_up(books: Books) -> None:
    result = await books.audit()

    assert findings_told(result) == []
    assert result.adds_up
    assert result.counts == {
        "invoices": 8,
        "payments": 30,
        "booked": 13,
        "cancellations": 6,
        "allocations": 27,
        "wallets": 3,
        "outcomes": 30,
        "outbox": 31,
    }


DAMAGE = {
    "a counter-entry of a cent less": (
        (
            "UPDATE allocations SET amount = amount + 1, capital = capital + 1 "
            f"WHERE payment_id = {CANCEL_SHORT} AND entry = 'payment'"
        ),
        "invoice_allocated: acme, billcode short: expected allocated capital 0.01; found allocated capital 0.00",
        (
            "counter_entry_disagrees: acme, cancel-short, billcode short: "
            "expected line 1, payment: amount -76.00, capital -76.00; "
            "found line 1, payment: amount -75.99, capital -75.99"
        ),
        "outcome_disagrees: acme, cancel-short: expected focusedtocapital -75.99; found focusedtocapital -76.00",
        (
            "payment_sum: acme, cancel-short: expected amount -76.00; "
            "found focused -75.99 + unfocused 0.00, on lines of -75.99"
        ),
    ),
    "a missing counter-entry of a tolerance": (
        f"DELETE FROM allocations WHERE payment_id = {CANCEL_SHORT} AND entry = 'tolerance'",
        "invoice_allocated: acme, billcode short: expected allocated capital 4.00; found allocated capital 0.00",
        (
            "counter_entry_disagrees: acme, cancel-short, billcode short: "
            "expected line 1, tolerance: amount -4.00, capital -4.00; "
            "found line 1, tolerance: none"
        ),
        "outcome_disagrees: acme, cancel-short: expected writtenoffcapital 0.00; found writtenoffcapital -4.00",
    ),
    "a counter-entry on another invoice": (
        f"UPDATE allocations SET invoice_id = {INVOICE.format('small')} WHERE payment_id = {CANCEL_BAD}",
        "invoice_allocated: acme, billcode bad: expected allocated capital 35.00; found allocated capital 15.00",
        "invoice_allocated: acme, billcode small: expected allocated capital 20.00; found allocated capital 40.00",
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: "
            "expected line 1, payment: amount -20.00, capital -20.00; "
            "found line 1, payment: none"
        ),
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode small: expected line 1, payment: none; "
            "found line 1, payment: amount -20.00, capital -20.00"
        ),
    ),
    "a counter-entry of another line": (
        f"UPDATE allocations SET line = 2 WHERE payment_id = {CANCEL_BAD}",
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: "
            "expected line 1, payment: amount -20.00, capital -20.00; "
            "found line 1, payment: none"
        ),
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: expected line 2, payment: none; "
            "found line 2, payment: amount -20.00, capital -20.00"
        ),
        (
            "outcome_disagrees: acme, cancel-bad: expected lines.1.amount none, lines.2.amount -20.00; "
            "found lines.1.amount -20.00, lines.2.amount none"
        ),
    ),
    "a counter-entry above zero": (
        f"UPDATE allocations SET capital = capital - 1, interest = 1 WHERE payment_id = {CANCEL_BAD}",
        (
            "invoice_allocated: acme, billcode bad: expected allocated capital 14.99, interest 0.01, noticefee 0.00; "
            "found allocated capital 15.00"
        ),
        (
            "allocation_out_of_bounds: acme, cancel-bad, billcode bad: expected 0 to -20.00; "
            "found capital -20.01, interest 0.01, noticefee 0.00"
        ),
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: "
            "expected line 1, payment: amount -20.00, capital -20.00; "
            "found line 1, payment: amount -20.00, capital -20.01, interest 0.01, noticefee 0.00"
        ),
        (
            "outcome_disagrees: acme, cancel-bad: expected focusedtocapital -20.01, focusedtointerest 0.01; "
            "found focusedtocapital -20.00, focusedtointerest 0.00"
        ),
    ),
    "a counter-entry of more than its line": (
        f"UPDATE allocations SET amount = amount + 1 WHERE payment_id = {CANCEL_BAD}",
        "allocation_out_of_bounds: acme, cancel-bad, billcode bad: expected 0 to -19.99; found capital -20.00",
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: "
            "expected line 1, payment: amount -20.00, capital -20.00; "
            "found line 1, payment: amount -19.99, capital -20.00"
        ),
        (
            "payment_sum: acme, cancel-bad: expected amount -20.00; "
            "found focused -20.00 + unfocused 0.00, on lines of -19.99"
        ),
    ),
    "a counter-entry with other references": (
        f'UPDATE allocations SET line_references = \'{{"to": "x"}}\' WHERE payment_id = {CANCEL_BAD}',
        (
            "counter_entry_disagrees: acme, cancel-bad, billcode bad: "
            "expected line 1, payment: amount -20.00, capital -20.00, its references; "
            "found line 1, payment: amount -20.00, capital -20.00, other references"
        ),
        ('outcome_disagrees: acme, cancel-bad: expected lines.1.references {"to": "x"}; found lines.1.references {}'),
    ),
    "a cancellation that keeps the surcharge": (
        f"UPDATE payments SET surcharge = 0 WHERE id = {CANCEL_OVER}",
        "cancellation_disagrees: acme, cancel-over: expected surcharge -1.50; found surcharge 0.00",
        "outcome_disagrees: acme, cancel-over: expected surcharge 0.00; found surcharge -1.50",
    ),
    "a cancellation that gives nothing back to the wallet": (
        f"UPDATE payments SET wallet = NULL, settled_by = 'money' WHERE id = {CANCEL_DRAWN}",
        "wallet_drawn: acme, wallet number W1: expected drawn 80.00; found drawn 30.00",
        (
            "cancellation_disagrees: acme, cancel-drawn: expected settled_by wallet, wallet ID; "
            "found settled_by money, wallet none"
        ),
        "outcome_disagrees: acme, cancel-drawn: expected settled_by money; found settled_by wallet",
    ),
    "a cancellation that names no payment": (
        f"UPDATE payments SET cancels = NULL WHERE id = {CANCEL_OVER}",
        (
            "allocation_of_unbooked: acme, cancel-over, billcode over: expected statusid 6 or a cancellation; "
            "found statusid 11"
        ),
        "allocation_out_of_bounds: acme, cancel-over, billcode over: expected 0 to -100.00; found capital -80.00",
        "cancellation_missing: acme, over: expected a cancellation, as it is marked; found none",
        (
            "outcome_disagrees: acme, cancel-over: expected cancels.payment_id none, cancels.idempotency_key none; "
            "found cancels.payment_id ID, cancels.idempotency_key over"
        ),
    ),
    "a cancellation of a payment that is not booked": (
        f"UPDATE payments SET cancels = {UNKNOWN} WHERE id = {CANCEL_SHORT}",
        "cancellation_missing: acme, short: expected a cancellation, as it is marked; found none",
        "cancellation_of_unbooked: acme, cancel-short: expected statusid 6; found statusid 10",
        (
            "outcome_disagrees: acme, cancel-short: expected cancels.payment_id ID, cancels.idempotency_key unknown; "
            "found cancels.payment_id ID, cancels.idempotency_key short"
        ),
    ),
    "a cancellation of a payment that is gone": (
        f"UPDATE payments SET cancels = 0 WHERE id = {CANCEL_SHORT}",
        "cancellation_missing: acme, short: expected a cancellation, as it is marked; found none",
        "cancellation_of_unbooked: acme, cancel-short: expected statusid 6; found no payment ID",
        (
            "outcome_disagrees: acme, cancel-short: expected cancels.payment_id ID, cancels.idempotency_key none; "
            "found cancels.payment_id ID, cancels.idempotency_key short"
        ),
    ),
    "a cancellation of another company's payment": (
        f"UPDATE payments SET cancels = {FOREIGN} WHERE id = {CANCEL_SHORT}",
        "cancellation_missing: acme, short: expected a cancellation, as it is marked; found none",
        "cancellation_of_stranger: acme, cancel-short: expected a payment of acme; found one of other",
        "cancellation_unmarked: other, foreign: expected marked as cancelled; found cancelled by cancel-short",
        (
            "outcome_disagrees: acme, cancel-short: expected cancels.payment_id ID, cancels.idempotency_key foreign; "
            "found cancels.payment_id ID, cancels.idempotency_key short"
        ),
    ),
    "a mark without a cancellation": (
        f"UPDATE payments SET is_cancelled = true WHERE id = {PART}",
        "cancellation_missing: acme, part: expected a cancellation, as it is marked; found none",
    ),
    "a cancellation without a mark": (
        f"UPDATE payments SET is_cancelled = false WHERE id = {SHORT}",
        "cancellation_unmarked: acme, short: expected marked as cancelled; found cancelled by cancel-short",
    ),
    "an event that is gone from a payment that has come": (
        f"UPDATE payments SET event_id = NULL, amount = 0, unfocused = 0 WHERE id = {EARLY}",
        "outcome_missing: acme, early: expected an event; found no such outcome",
    ),
    "an amount of a payment that has not come": (
        f"UPDATE payments SET amount = 1, unfocused = 1 WHERE id = {PAYMENT.format('never')}",
        "outcome_missing: acme, never: expected an event; found no such outcome",
    ),
}
"""What was done → the statement that did it, and the lines that tell of it; components of zero are left out."""


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_and_named(books: Books, damage: str) -> None:
    sql, *lines = DAMAGE[damage]

    await books.damage(sql)
    told = findings_told(await books.audit())

    assert [line.replace(", interest 0.00, noticefee 0.00", "") for line in told] == sorted(lines)


@pytest.mark.parametrize(
    "field",
    ["writtenoffcapital", "writtenoffinterest", "writtenoffnoticefee", "surcharge", "settled_by", "focusedtocapital"],
)
async def test_an_event_of_a_cancellation_that_says_otherwise_in_any_field_is_found(books: Books, field: str) -> None:
    event = await books.event(CANCEL_SHORT)

    await books.tell(CANCEL_SHORT, event | {field: 99})
    (finding,) = (await books.audit()).findings

    assert (finding.kind, finding.company, finding.idempotency_key) == ("outcome_disagrees", "acme", "cancel-short")
    assert finding.found.split(", ")[0] == f"{field} 99"


@pytest.mark.parametrize("told", [PART, CANCEL_OVER])
async def test_a_booking_or_a_cancellation_that_was_told_but_is_not_held_is_found(books: Books, told: str) -> None:
    event_id = await books.value(f"SELECT event_id FROM payments WHERE id = {told}")

    await books.damage(f"UPDATE payments SET event_id = NULL WHERE id = {told}")
    findings = (await books.audit()).findings

    assert [finding.kind for finding in findings] == ["outcome_missing", "outcome_of_another_booking"]
    assert (findings[1].expected, findings[1].found) == ("no event", f"event {event_id}")
