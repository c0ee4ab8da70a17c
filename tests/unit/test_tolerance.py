"""A small remainder that a company lets be written off beside a payment."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import read_json
from schemas.outcome import Status
from schemas.registration import Identifier, WalletName
from tests.builders import Books, a_line, a_policy, a_registration, a_request, a_wallet, an_invoice, reasons
from tests.unit.decisions import judge
from worker.domain.allocation import NOTHING, Components
from worker.domain.invoice import Invoice
from worker.domain.policy import DuplicateCheck, Overpayment, Policy
from worker.domain.verdict import Reason

OTHER = Identifier("billcode", "other")
ONE_EURO = a_policy(tolerance_minor=100)
ONE_PERCENT = a_policy(tolerance_percent=Decimal(1))
BOTH = a_policy(tolerance_minor=100, tolerance_percent=Decimal(1))


def written_off(amount_minor: int, invoice: Invoice, policy: Policy) -> Components:
    """What is written off beside a payment of the amount."""
    (line,) = judge(a_registration(a_line(amount_minor)), [invoice], policy).lines
    assert line.before == line.allocation.plus(line.written_off).plus(line.after)
    assert line.allocation.total == amount_minor
    return line.written_off


# How much.


@pytest.mark.parametrize(
    ("policy", "owed", "most"),
    [
        (ONE_EURO, 71000, 100),
        (ONE_EURO, 50, 49),  # what is left of a payment that pays one cent
        (ONE_PERCENT, 71000, 710),
        (ONE_PERCENT, 199, 1),
        (a_policy(tolerance_percent=Decimal("0.5")), 71000, 355),
        (BOTH, 71000, 100),
        (BOTH, 9900, 99),
        (a_policy(tolerance_minor=100, tolerance_percent=Decimal(100)), 71000, 100),
    ],
)
def test_a_remainder_up_to_the_limit_is_written_off_and_no_more(policy: Policy, owed: int, most: int) -> None:
    assert written_off(owed - most, an_invoice(owed), policy) == Components(most)
    if owed > most + 1:
        assert written_off(owed - most - 1, an_invoice(owed), policy) == NOTHING


@pytest.mark.parametrize(
    "policy",
    [
        a_policy(),
        a_policy(tolerance_minor=0),
        a_policy(tolerance_percent=Decimal(0)),
        a_policy(tolerance_minor=0, tolerance_percent=Decimal(100)),
        a_policy(tolerance_minor=100, tolerance_percent=Decimal(0)),
    ],
)
def test_without_a_tolerance_not_a_cent_is_written_off(policy: Policy) -> None:
    assert written_off(70999, an_invoice(), policy) == NOTHING


def test_the_percentage_is_of_what_was_open_before_the_payment() -> None:
    half_paid = an_invoice(10000, allocated=Components(5000))
    assert written_off(4950, half_paid, ONE_PERCENT) == Components(50)
    assert written_off(4949, half_paid, ONE_PERCENT) == NOTHING


def test_the_percentage_is_exact_however_many_digits_it_takes() -> None:
    """The limit is 10^-17 less than the remainder, which a decimal of 28 digits rounds away."""
    policy = a_policy(tolerance_percent=Decimal("0.203113817728671"))
    assert not policy.tolerates(40_983_767_525_314, 20_177_734_820_612_769)
    assert policy.tolerates(40_983_767_525_313, 20_177_734_820_612_769)


def test_what_is_written_off_is_just_what_is_left_of_each_component() -> None:
    assert written_off(753, an_invoice(700, 50, 9), ONE_EURO) == Components(capital=6)
    assert written_off(8, an_invoice(20, 30, 9), ONE_EURO) == Components(20, 30, 1)


def test_the_components_are_together_what_is_tolerated() -> None:
    assert written_off(40, an_invoice(60, 40, 40), ONE_EURO) == Components(60, 40)
    assert written_off(39, an_invoice(60, 40, 40), ONE_EURO) == NOTHING


def test_a_payment_that_pays_all_or_more_writes_nothing_off() -> None:
    for amount in (71000, 71001):
        (line,) = judge(a_registration(a_line(amount)), policy=ONE_EURO).lines
        assert line.written_off == NOTHING


# Where it is written off.


def test_of_several_lines_of_an_invoice_the_last_tells_what_is_left_after_all() -> None:
    registration = a_registration(a_line(9000), a_line(900), a_line(0, OTHER))
    lines = judge(registration, [an_invoice(9999), an_invoice(9999), an_invoice(number=2)], BOTH).lines
    assert [line.written_off for line in lines] == [NOTHING, Components(99), NOTHING]
    assert lines[1].after == NOTHING


def test_the_percentage_is_of_what_was_open_before_the_first_of_its_lines() -> None:
    registration = a_registration(a_line(9000), a_line(901))
    lines = judge(registration, [an_invoice(10000)] * 2, ONE_PERCENT).lines
    assert [line.written_off for line in lines] == [NOTHING, Components(99)]


def test_each_invoice_is_judged_by_what_is_left_of_it() -> None:
    registration = a_registration(a_line(9900), a_line(9899, OTHER))
    lines = judge(registration, [an_invoice(10000), an_invoice(10000, number=2)], ONE_EURO).lines
    assert [line.written_off for line in lines] == [Components(100), NOTHING]


def test_a_total_that_is_shared_writes_off_what_is_left_of_the_last() -> None:
    registration = a_registration(a_line(None), a_line(None, OTHER), total_minor=14950)
    lines = judge(registration, [an_invoice(10000), an_invoice(5000, number=2)], ONE_EURO).lines
    assert [line.written_off for line in lines] == [NOTHING, Components(50)]


def test_an_invoice_that_the_payment_pays_nothing_of_keeps_what_is_open() -> None:
    small = an_invoice(50, number=2)
    for registration in (
        a_registration(a_line(71000), a_line(0, OTHER)),
        a_registration(a_line(None), a_line(None, OTHER), total_minor=71000),
    ):
        lines = judge(registration, [an_invoice(), small], ONE_EURO).lines
        assert [line.written_off for line in lines] == [NOTHING, NOTHING]


# Whose.


def test_a_tolerance_is_money_of_the_companys_own_currency() -> None:
    registration = a_registration(a_line(70950), currency="USD")
    (line,) = judge(registration, [an_invoice(currency="USD")], BOTH).lines
    assert line.written_off == NOTHING
    (line,) = judge(registration, [an_invoice(currency="USD")], a_policy(currency="USD", tolerance_minor=100)).lines
    assert line.written_off == Components(50)


def test_a_write_off_leaves_open_what_it_leaves_open() -> None:
    (line,) = judge(a_registration(a_line(70950), is_write_off=True), policy=BOTH).lines
    assert (line.allocation, line.written_off) == (Components(70950), NOTHING)


def test_a_wallet_is_drawn_by_what_was_paid_and_not_by_what_is_written_off() -> None:
    wallet = WalletName("number", "W1")
    books = Books(an_invoice(), wallets=[a_wallet(70950)], policies=[BOTH])
    settled = books.settle_one(a_request(a_registration(a_line(70950), wallet=wallet)))
    assert settled.verdict.lines[0].written_off == Components(50)
    assert books.view.wallets[1].available == 0


def test_what_is_refused_writes_nothing_off() -> None:
    verdict = judge(
        a_registration(a_line(70950), a_line(71001, OTHER)),
        [an_invoice(), an_invoice(number=2)],
        a_policy(tolerance_minor=100, overpayment=Overpayment.REJECT),
    )
    assert verdict.reason is Reason.OVERPAYMENT
    assert [line.written_off for line in verdict.lines] == [NOTHING, NOTHING]


# What is told.


def test_the_outcome_names_what_was_written_off_and_the_invoice_is_closed() -> None:
    books = Books(an_invoice(70000, 900, 100), policies=[ONE_EURO])
    told: Any = read_json(books.settle_one(a_request(a_registration(a_line(70910)))).body)
    assert told["statusid"] == Status.OHISPAY
    for part in (told, *told["lines"]):
        capital = [part[name] for name in ("capitalbefore", "focusedtocapital", "writtenoffcapital", "capitalafter")]
        assert capital == ["700.00", "699.10", "0.90", "0.00"]
        assert (part["writtenoffinterest"], part["writtenoffnoticefee"]) == ("0.00", "0.00")
        assert (part["amount"], part["unfocused"], part["invoicestate"]) == ("709.10", "0.00", "CLOSED")
    assert books.open() == NOTHING


def test_the_outcome_sums_what_was_written_off_of_several_invoices() -> None:
    books = Books(
        an_invoice(71000, 10, 0),
        an_invoice(71000, 0, 20, number=2, names=[OTHER]),
        policies=[a_policy(tolerance_minor=100)],
    )
    registration = a_registration(a_line(70950), a_line(70970, OTHER), payment_type="directpayment")
    told: Any = read_json(books.settle_one(a_request(registration)).body)
    written_off = [told[f"writtenoff{component}"] for component in ("capital", "interest", "noticefee")]
    assert written_off == ["0.80", "0.10", "0.20"]
    assert (told["capitalbefore"], told["focusedtocapital"], told["capitalafter"]) == ("1420.00", "1419.20", "0.00")


def test_after_it_the_invoice_takes_no_more() -> None:
    books = Books(an_invoice(), policies=[a_policy(tolerance_minor=100, duplicates=DuplicateCheck.OFF)])
    requests = (a_request(a_registration(a_line(amount)), key=str(amount)) for amount in (70950, 50))
    assert reasons(books.settle(*requests)) == [Reason.BOOKED, Reason.INVOICE_CLOSED]
