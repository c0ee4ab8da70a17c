"""The audit: sound books pass, and each kind of damage is found and named, though it takes bare hands to make it."""

import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.builders import a_message, body
from tests.integration.audited_books import INVOICE, NOW, PAYMENT, Books, findings_told, invoice, opened
from tests.places import Database
from worker.books.audit import Sums, audit
from worker.books.session import Session
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request

POLICIES = {
    "acme": Policy(company="acme", currency="EUR"),
    "other": Policy(company="other", currency="EUR"),
    "tokyo": Policy(company="tokyo", currency="JPY"),
}
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
FIRST, PART, OVER, UNBOOKED = (PAYMENT.format(key) for key in ("first", "part", "over", "unbooked"))


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    """Books as workers write them: booked, overpaid, unknown, invalid and conflicting payments of three companies."""
    async with opened(database, list(POLICIES.values())) as books:
        await books.put(
            invoice("acme", "1234567", "710.00"),
            invoice("acme", "part", "500.00", interest="12.50", noticefee="5.00"),
            invoice("acme", "over", "80.00"),
            invoice("other", "foreign", "710.00"),
            invoice("tokyo", "yen", "1000"),
        )
        await books.settle(
            request("acme", "first"),
            request("acme", "first"),
            request("acme", "first", amount="1.00"),
            request("acme", "part", amount="100.00", billcode="part", type=None),
            request("acme", "over", amount="100.00", billcode="over"),
            request("acme", "unbooked", amount="7.00", billcode="unknown", billnum=None),
            request("acme", "invalid", amount="NaN"),
            request("other", "first", amount="10.00", billcode="foreign"),
            request("tokyo", "first", amount="300", billcode="yen"),
        )
        yield books


def request(company: str, key: str, **fields: object) -> Request:
    message = a_message(body(**fields), routing_key=f"registration.{company}", message_id=key)
    return read_request(message, POLICIES[company], NOW.date())


def sums(currency: str, *, booked: int, **amounts: int) -> Sums:
    """Sums of books in which nothing was written off and no wallet paid."""
    return Sums(currency, booked=booked, received=booked, from_wallets=0, written_off=0, tolerated=0, **amounts)


async def test_books_that_workers_wrote_add_up(books: Books) -> None:
    result = await books.audit()

    assert result.adds_up
    assert result.findings == []
    assert result.counts == {
        "invoices": 5,
        "payments": 7,
        "booked": 5,
        "cancellations": 0,
        "allocations": 5,
        "wallets": 0,
        "outcomes": 8,
        "outbox": 9,
    }
    assert result.sums == [
        sums("EUR", stated=201750, allocated=90000, open=111750, booked=92000, focused=90000, unfocused=2000),
        sums("JPY", stated=1000, allocated=300, open=700, booked=300, focused=300, unfocused=0),
    ]


async def test_an_empty_database_adds_up(database: Database) -> None:
    async with Session(database.url, "test") as session:
        result = await audit(session)

    assert result.adds_up
    assert result.sums == []


DAMAGE = {
    "a changed amount": (
        f"UPDATE payments SET amount = amount + 1 WHERE id = {FIRST}",
        "outcome_disagrees: acme, first: expected amount 710.01; found amount 710.00",
        "payment_sum: acme, first: expected amount 710.01; found focused 710.00 + unfocused 0.00, on lines of 710.00",
    ),
    "an unfocused amount off by a cent": (
        f"UPDATE payments SET unfocused = unfocused - 1 WHERE id = {OVER}",
        "outcome_disagrees: acme, over: expected unfocused 19.99; found unfocused 20.00",
        "payment_sum: acme, over: expected amount 100.00; found focused 80.00 + unfocused 19.99, on lines of 100.00",
    ),
    "a missing allocation": (
        f"DELETE FROM allocations WHERE payment_id = {PART}",
        (
            "invoice_allocated: acme, billcode part: expected allocated capital 0.00, interest 0.00, noticefee 0.00; "
            "found allocated capital 82.50, interest 12.50, noticefee 5.00"
        ),
        (
            "outcome_disagrees: acme, part: "
            "expected focusedtocapital 0.00, focusedtointerest 0.00, focusedtonoticefee 0.00, lines.1.amount none; "
            "found focusedtocapital 82.50, focusedtointerest 12.50, focusedtonoticefee 5.00, lines.1.amount 100.00"
        ),
        "payment_sum: acme, part: expected amount 100.00; found focused 0.00 + unfocused 0.00, on lines of 0.00",
    ),
    "a doubled allocation": (
        (
            "INSERT INTO allocations SELECT payment_id, 2, invoice_id, amount, capital, interest, noticefee, "
            f"line_references, created_at FROM allocations WHERE payment_id = {OVER}"
        ),
        (
            "invoice_allocated: acme, billcode over: expected allocated capital 160.00, interest 0.00, noticefee 0.00; "
            "found allocated capital 80.00, interest 0.00, noticefee 0.00"
        ),
        (
            "outcome_disagrees: acme, over: expected focusedtocapital 160.00, lines.2.amount 100.00; "
            "found focusedtocapital 80.00, lines.2.amount none"
        ),
        "payment_sum: acme, over: expected amount 100.00; found focused 160.00 + unfocused 20.00, on lines of 200.00",
    ),
    "an allocation of another amount than its line": (
        f"UPDATE allocations SET amount = amount - 1 WHERE payment_id = {OVER}",
        (
            "outcome_disagrees: acme, over: expected lines.1.amount 99.99, lines.1.unfocused 19.99; "
            "found lines.1.amount 100.00, lines.1.unfocused 20.00"
        ),
        "payment_sum: acme, over: expected amount 100.00; found focused 80.00 + unfocused 20.00, on lines of 99.99",
    ),
    "a balance off by a cent": (
        "UPDATE invoices SET capital_allocated = capital_allocated - 1 WHERE billcode = 'part'",
        (
            "invoice_allocated: acme, billcode part: expected allocated capital 82.50, interest 12.50, noticefee 5.00; "
            "found allocated capital 82.49, interest 12.50, noticefee 5.00"
        ),
    ),
    "interest off by a cent": (
        "UPDATE invoices SET interest_allocated = interest_allocated - 1 WHERE billcode = 'part'",
        (
            "invoice_allocated: acme, billcode part: expected allocated capital 82.50, interest 12.50, noticefee 5.00; "
            "found allocated capital 82.50, interest 12.49, noticefee 5.00"
        ),
    ),
    "a notice fee off by a cent": (
        "UPDATE invoices SET noticefee_allocated = noticefee_allocated - 1 WHERE billcode = 'part'",
        (
            "invoice_allocated: acme, billcode part: expected allocated capital 82.50, interest 12.50, noticefee 5.00; "
            "found allocated capital 82.50, interest 12.50, noticefee 4.99"
        ),
    ),
    "an open amount below zero": (
        "UPDATE invoices SET capital = 7999 WHERE billcode = 'over'",
        (
            "invoice_open_below_zero: acme, billcode over: expected nothing open below zero; "
            "found open capital -0.01, interest 0.00, noticefee 0.00"
        ),
    ),
    "an allocation on another company's invoice": (
        (
            f"UPDATE allocations SET invoice_id = {INVOICE.format('foreign')} WHERE payment_id = {FIRST};"
            "UPDATE invoices SET capital_allocated = 0 WHERE billcode = '1234567';"
            "UPDATE invoices SET capital = 72000, capital_allocated = 72000 WHERE billcode = 'foreign'"
        ),
        (
            "allocation_on_stranger: acme, first, billcode foreign: expected an invoice of acme in EUR; "
            "found one of other in EUR"
        ),
    ),
    "an allocation on an invoice of another currency": (
        "UPDATE invoices SET currency = 'KWD' WHERE billcode = 'over'",
        (
            "allocation_on_stranger: acme, over, billcode over: expected an invoice of acme in EUR; "
            "found one of acme in KWD"
        ),
    ),
    "an allocation of a payment that is not booked": (
        f"INSERT INTO allocations SELECT {UNBOOKED}, 1, {INVOICE.format('over')}, 700, 0, 0, 0, NULL, now()",
        (
            "allocation_of_unbooked: acme, unbooked, billcode over: expected statusid 6 or a cancellation; "
            "found statusid 10"
        ),
    ),
    "an allocation below zero": (
        (
            f"UPDATE allocations SET capital = 8001, interest = -1 WHERE payment_id = {OVER};"
            "UPDATE invoices SET capital = 8001, capital_allocated = 8001, interest_allocated = -1 "
            "WHERE billcode = 'over'"
        ),
        (
            "allocation_out_of_bounds: acme, over, billcode over: expected 0 to 100.00; "
            "found capital 80.01, interest -0.01, noticefee 0.00"
        ),
        (
            "outcome_disagrees: acme, over: expected focusedtocapital 80.01, focusedtointerest -0.01, "
            "lines.1.focusedtocapital 80.01, lines.1.focusedtointerest -0.01; "
            "found focusedtocapital 80.00, focusedtointerest 0.00, "
            "lines.1.focusedtocapital 80.00, lines.1.focusedtointerest 0.00"
        ),
    ),
    "a changed key": (
        f"UPDATE payments SET idempotency_key = 'x' WHERE id = {PART}",
        (
            "outcome_disagrees: acme, x: expected outcomes.idempotency_key x, idempotency_key x; "
            "found outcomes.idempotency_key part, idempotency_key part"
        ),
        "outcome_without_payment: acme, part: expected payment ID of this key; found that of acme, key x",
    ),
    "a changed currency": (
        f"UPDATE payments SET currency = 'SEK' WHERE id = {UNBOOKED}",
        "outcome_disagrees: acme, unbooked: expected currency SEK; found currency EUR",
    ),
    "an outcome filed under another time": (
        f"UPDATE outcomes SET occurred_at = '2026-01-01T00:00:01Z' WHERE payment_id = {PART}",
        (
            "outcome_disagrees: acme, part: expected occurred_at 2026-01-01 00:00:01+00; "
            "found occurred_at 2026-01-01 00:00:00+00"
        ),
    ),
    "a missing event of a booked payment": (
        f"DELETE FROM outcomes WHERE payment_id = {PART}; DELETE FROM outbox",
        "outcome_missing: acme, part: expected event OF PART; found no such outcome",
    ),
    "an answer that was no booking, filed under another status": (
        f"UPDATE outcomes SET statusid = 10 WHERE payment_id = {FIRST} AND statusid = 1",
        ("outcome_disagrees: acme, first: expected statusid 10, status NOT_FOUND; found statusid 1, status FAIL"),
    ),
    "an answer that was no booking, with a line that is": (
        (
            "UPDATE outcomes SET body = convert_to(replace(convert_from(body, 'UTF8'), "
            """'"lines":[{"amount":"1.00"', '"lines":[{"amount":"1.01"'), 'UTF8') """
            f"WHERE payment_id = {FIRST} AND statusid = 1"
        ),
        (
            "outcome_disagrees: acme, first: expected amount of the lines 1.00, lines.1.unfocused 1.01; "
            "found amount of the lines 1.01, lines.1.unfocused 1.00"
        ),
    ),
    "an answer that was no booking, and says of the whole that it is": (
        (
            "UPDATE outcomes SET body = convert_to((convert_from(body, 'UTF8')::jsonb "
            """|| '{"capitalbefore": "1.00", "focusedtointerest": "1.00"}')::text, 'UTF8') """
            f"WHERE payment_id = {FIRST} AND statusid = 1"
        ),
        (
            "outcome_disagrees: acme, first: expected focusedtointerest 0.00, capitalafter 1.00; "
            "found focusedtointerest 1.00, capitalafter 0.00"
        ),
    ),
    "an answer that was no booking, and is no text": (
        f"UPDATE outcomes SET body = '\\xff' WHERE payment_id = {FIRST} AND statusid = 1",
        "outcome_unreadable: acme, first: expected event OF FIRST as JSON; found no JSON",
    ),
    "an amount that is none": (
        (
            "UPDATE outcomes SET body = convert_to(replace(convert_from(body, 'UTF8'), "
            """'"capitalbefore":"80.00"', '"capitalbefore":"8o.00"'), 'UTF8') """
            f"WHERE payment_id = {OVER}"
        ),
        "outcome_unreadable: acme, over: expected event OF OVER as JSON; found no JSON",
    ),
    "a payment left undone that is pending no more": (
        f"UPDATE payments SET statusid = 0, reason = 'invoice_awaited' WHERE id = {UNBOOKED}",
        (
            "outcome_disagrees: acme, unbooked: "
            "expected outcomes.statusid 0, statusid 0, reason invoice_awaited, status UNDONE; "
            "found outcomes.statusid 10, statusid 10, reason invoice_not_found, status NOT_FOUND"
        ),
        "pending_missing: acme, unbooked: expected a pending row, as it is undone; found none",
    ),
    "an allocation of a payment that never was": (
        f"INSERT INTO allocations SELECT 1000000, 1, {INVOICE.format('over')}, 0, 0, 0, 0, NULL, now()",
        "allocation_of_unbooked: billcode over: expected statusid 6 or a cancellation; found no payment ID",
    ),
    "a payment pending that never was": (
        "INSERT INTO pending SELECT 1000000, now(), now(), '{}', ''",
        "pending_of_decided: no company: expected statusid 0, as there is a pending row; found no payment ID",
    ),
    "a booked payment that is pending": (
        f"INSERT INTO pending SELECT {FIRST}, now(), now(), '{{}}', ''",
        "pending_of_decided: acme, first: expected statusid 0, as there is a pending row; found statusid 6",
    ),
    "an outcome filed under another status and source": (
        f"UPDATE outcomes SET statusid = 1, source = 'x' WHERE payment_id = {PART}",
        (
            "outcome_disagrees: acme, part: expected outcomes.source ropo.payment.v1, outcomes.statusid 6; "
            "found outcomes.source x, outcomes.statusid 1"
        ),
    ),
    "a payment that says other than its event": (
        f"UPDATE payments SET reason = 'x', paydate = NULL WHERE id = {UNBOOKED}",
        (
            "outcome_disagrees: acme, unbooked: expected reason x, paydate none; "
            "found reason invoice_not_found, paydate 2017-10-10"
        ),
    ),
    "an event that is no text, and damage elsewhere": (
        (
            f"UPDATE outcomes SET body = '\\xff' WHERE payment_id = {UNBOOKED};"
            "UPDATE invoices SET capital_allocated = 301 WHERE billcode = 'yen'"
        ),
        (
            "invoice_allocated: tokyo, billcode yen: expected allocated capital 300, interest 0, noticefee 0; "
            "found allocated capital 301, interest 0, noticefee 0"
        ),
        "outcome_unreadable: acme, unbooked: expected event EVENT as JSON; found no JSON",
    ),
    "a missing outcome": (
        f"DELETE FROM outcomes WHERE payment_id = {UNBOOKED}; DELETE FROM outbox",
        "outcome_missing: acme, unbooked: expected event EVENT; found no such outcome",
    ),
    "an outcome without its payment": (
        f"DELETE FROM payments WHERE id = {UNBOOKED}",
        "outcome_without_payment: acme, unbooked: expected payment ID of this key; found no such payment",
    ),
    "an allocation without its payment": (
        f"DELETE FROM outcomes WHERE payment_id = {OVER}; DELETE FROM payments WHERE id = {OVER}; DELETE FROM outbox",
        "allocation_of_unbooked: billcode over: expected statusid 6 or a cancellation; found no payment ID",
    ),
}
"""What was done → the statements that did it, and the lines that tell of it.

EVENT is the unbooked payment's event, OF FIRST the second of the first."""


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_found_and_named(books: Books, damage: str) -> None:
    last = "SELECT event_id FROM payments WHERE id = "
    conflict = f"SELECT event_id FROM outcomes WHERE payment_id = {FIRST} AND statusid = 1"
    events = {
        str(await books.value(sql)): name
        for name, sql in {
            "EVENT": last + UNBOOKED,
            "OF PART": last + PART,
            "OF OVER": last + OVER,
            "OF FIRST": conflict,
        }.items()
    }
    sql, *lines = DAMAGE[damage]

    await books.damage(sql)
    result = await books.audit()

    assert [re.sub(UUID, lambda found: events[found[0]], line) for line in findings_told(result)] == sorted(lines)
    assert not result.adds_up
    assert sum(result.found.values()) == len(lines)


@pytest.mark.parametrize(
    "field", ["amount", "unfocused", "statusid", "payment_id", "company", "idempotency_key", "event_id", "currency"]
)
async def test_an_event_that_says_otherwise_in_any_field_is_found(books: Books, field: str) -> None:
    event = await books.event(PART)

    await books.tell(PART, event | {field: 99})
    (finding,) = (await books.audit()).findings

    assert (finding.kind, finding.company, finding.idempotency_key) == ("outcome_disagrees", "acme", "part")
    assert finding.found == f"{field} 99"


async def test_an_outbox_row_without_its_outcome_is_found(books: Books) -> None:
    event_id = await books.value(f"SELECT event_id FROM payments WHERE id = {UNBOOKED}")

    await books.damage(f"DELETE FROM outcomes WHERE payment_id = {UNBOOKED}")
    result = await books.audit()

    assert [finding.kind for finding in result.findings] == ["outcome_missing", "outbox_without_outcome"]
    assert result.findings[1].found == f"no event {event_id}"


async def test_a_booking_that_was_told_but_is_not_held_is_found(books: Books) -> None:
    await books.damage(
        f"""UPDATE payments SET event_id = (SELECT event_id FROM outcomes WHERE payment_id = {FIRST} AND statusid = 1)
        WHERE id = {FIRST}"""
    )
    kinds = [finding.kind for finding in (await books.audit()).findings]

    assert kinds == ["outcome_disagrees", "outcome_of_another_booking"]


async def test_amounts_beyond_all_bounds_are_found(books: Books) -> None:
    much = 2**63 - 1
    await books.damage(f"UPDATE allocations SET capital = {much}, interest = {much} WHERE payment_id = {OVER}")

    kinds = set((await books.audit()).found)

    assert kinds == {"allocation_out_of_bounds", "invoice_allocated", "outcome_disagrees", "payment_sum"}


async def test_of_much_damage_the_first_is_told_and_all_is_counted(books: Books) -> None:
    await books.damage("UPDATE invoices SET interest = 1, interest_allocated = 1 WHERE company = 'acme'")
    result = await books.audit(findings_max=2)

    assert result.found == {"invoice_allocated": 3}
    assert [finding.invoice for finding in result.findings] == ["billcode 1234567", "billcode part"]


async def test_the_command_succeeds_only_if_the_books_add_up(books: Books) -> None:
    sound = await books.command()
    await books.damage("UPDATE invoices SET capital_allocated = capital_allocated - 1 WHERE billcode = 'part'")
    damaged = await books.command()

    assert sound.exit_code == 0
    assert sound.stdout.splitlines()[-1] == "The books add up."
    assert damaged.exit_code == 1
    assert "invoice_allocated: acme, billcode part: expected allocated capital 82.50" in damaged.stdout
    assert damaged.stdout.splitlines()[-1] == "The books do not add up: invoice_allocated 1."


async def test_the_command_tells_programs_in_json(books: Books) -> None:
    await books.damage("UPDATE invoices SET capital_allocated = capital_allocated - 1 WHERE billcode = 'part'")
    invoice_id = await books.value(f"SELECT {INVOICE.format('part')}")
    result = await books.command("--json")
    said = json.loads(result.stdout)

    assert result.exit_code == 1
    assert said["adds_up"] is False
    assert said["counts"]["payments"] == 7
    assert said["sums"][0]["unfocused"] == "20.00"
    assert said["found"] == {"invoice_allocated": 1}
    assert said["findings"] == [
        {
            "kind": "invoice_allocated",
            "company": "acme",
            "idempotency_key": None,
            "invoice": "billcode part",
            "wallet": None,
            "expected": "allocated capital 82.50, interest 12.50, noticefee 5.00",
            "found": "allocated capital 82.49, interest 12.50, noticefee 5.00",
            "subject": f"invoice {invoice_id}",
        }
    ]
