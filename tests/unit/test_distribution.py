"""What each line of a payment over several invoices pays."""

from datetime import date

import pytest

from schemas.orders import Distribution
from schemas.registration import Registration
from tests.builders import a_line, a_policy, a_registration, an_invoice
from tests.unit.decisions import judge
from worker.domain.distribution import distribute
from worker.domain.invoice import Invoice
from worker.domain.verdict import Reason

JANUARY, FEBRUARY, MARCH = (date(2017, month, 31 if month != 2 else 28) for month in (1, 2, 3))


def owing(number: int, amount: int, due: date | None = None) -> Invoice:
    return an_invoice(amount, number=number, due=due)


def closed(number: int, amount: int) -> Invoice:
    """One that its owner has closed, whatever is open on it."""
    return an_invoice(amount, number=number, state="CLOSED")


def sharing(total: int, *named: int | None) -> Registration:
    """A payment of a total over as many lines; those that name no amount share the rest."""
    return a_registration(*(a_line(amount) for amount in named), total_minor=total)


def shares(total: int, *invoices: Invoice, by: Distribution = Distribution.OLDEST_DUE) -> list[int]:
    return distribute(sharing(total, *(None for _ in invoices)), invoices, by)


def pay_all(*invoices: Invoice, named: dict[int, int] | None = None) -> list[int]:
    """The amounts of lines that pay all that is open, but for those at the positions named."""
    lines = [a_line((named or {}).get(position)) for position in range(len(invoices))]
    return distribute(a_registration(*lines), invoices, Distribution.OLDEST_DUE)


# Oldest due first.


def test_the_oldest_due_is_paid_first() -> None:
    assert shares(150, owing(1, 100, MARCH), owing(2, 100, JANUARY), owing(3, 100, FEBRUARY)) == [0, 100, 50]


def test_an_invoice_without_a_due_date_is_paid_last() -> None:
    assert shares(150, owing(1, 100), owing(2, 100, date.max)) == [50, 100]


@pytest.mark.parametrize("due", [JANUARY, None])
@pytest.mark.parametrize("by", [Distribution.OLDEST_DUE, Distribution.EXACT_MATCH, Distribution.HIGHEST_AMOUNT])
def test_of_equal_ones_the_first_in_the_message_is_paid_first(by: Distribution, due: date | None) -> None:
    for numbers in ((1, 2), (2, 1)):
        assert shares(150, *(owing(number, 100, due) for number in numbers), by=by) == [100, 50]


# Exact match first.


def test_the_one_whose_open_amount_is_just_what_was_paid_is_paid_first() -> None:
    invoices = owing(1, 100, JANUARY), owing(2, 70, MARCH)
    assert shares(70, *invoices, by=Distribution.EXACT_MATCH) == [0, 70]
    assert shares(70, *invoices) == [70, 0]


def test_of_several_that_match_the_oldest_due_is_paid() -> None:
    invoices = owing(1, 70, MARCH), owing(2, 70, JANUARY), owing(3, 100, JANUARY)
    assert shares(70, *invoices, by=Distribution.EXACT_MATCH) == [0, 70, 0]


@pytest.mark.parametrize("total", [69, 71])
def test_where_none_matches_exactly_the_oldest_due_is_paid_first(total: int) -> None:
    invoices = owing(1, 70, MARCH), owing(2, 40, JANUARY)
    assert shares(total, *invoices, by=Distribution.EXACT_MATCH) == [total - 40, 40]


def test_what_named_lines_leave_of_the_total_is_what_has_to_match() -> None:
    invoices = owing(1, 30), owing(2, 100, JANUARY), owing(3, 70, MARCH)
    assert distribute(sharing(100, 30, None, None), invoices, Distribution.EXACT_MATCH) == [30, 0, 70]


def test_an_invoice_matches_by_what_named_lines_leave_open_of_it() -> None:
    one, other = owing(1, 100, MARCH), owing(2, 100, JANUARY)
    assert distribute(sharing(100, 30, None, None), [one, other, one], Distribution.EXACT_MATCH) == [30, 0, 70]


# Highest amount first.


def test_the_highest_open_amount_is_paid_first() -> None:
    invoices = owing(1, 10, JANUARY), owing(2, 30, MARCH), owing(3, 20, FEBRUARY)
    assert shares(45, *invoices, by=Distribution.HIGHEST_AMOUNT) == [0, 30, 15]


def test_of_equally_high_ones_the_oldest_due_is_paid_first() -> None:
    invoices = owing(1, 30), owing(2, 30, MARCH), owing(3, 30, JANUARY)
    assert shares(40, *invoices, by=Distribution.HIGHEST_AMOUNT) == [0, 10, 30]


# Pro rata.


def test_pro_rata_pays_in_proportion_by_largest_remainder() -> None:
    invoices = owing(1, 3, MARCH), owing(2, 3, JANUARY), owing(3, 1)
    assert shares(6, *invoices, by=Distribution.PRO_RATA) == [3, 2, 1]  # 2.57, 2.57 and 0.86
    assert shares(7, *invoices, by=Distribution.PRO_RATA) == [3, 3, 1]


def test_pro_rata_is_of_what_named_lines_leave_open() -> None:
    one, other = owing(1, 100), owing(2, 80)
    assert distribute(sharing(80, 60, None, None), [one, one, other], Distribution.PRO_RATA) == [60, 7, 13]


# Under every way.


@pytest.mark.parametrize("by", Distribution)
def test_what_is_left_over_stays_with_the_last_that_could_take_something(by: Distribution) -> None:
    invoices = owing(1, 20, JANUARY), owing(2, 10, FEBRUARY), owing(3, 0, MARCH), closed(4, 5)
    assert shares(37, *invoices, by=by) == [20, 17, 0, 0]


@pytest.mark.parametrize("by", Distribution)
def test_what_can_go_nowhere_stays_with_the_last_in_turn(by: Distribution) -> None:
    assert shares(5, owing(1, 0, JANUARY), owing(2, 0, FEBRUARY), by=by) == [0, 5]


@pytest.mark.parametrize("by", Distribution)
def test_lines_with_amounts_are_served_before_those_that_share_wherever_they_stand(by: Distribution) -> None:
    one, other = owing(1, 100, JANUARY), owing(2, 50, FEBRUARY)
    assert distribute(sharing(150, None, None, 90), [one, other, one], by) == [10, 50, 90]


@pytest.mark.parametrize("by", Distribution)
def test_an_invoice_on_two_lines_takes_its_share_once(by: Distribution) -> None:
    one, other = owing(1, 100, JANUARY), owing(2, 100, FEBRUARY)
    assert shares(200, one, one, other, by=by) == [100, 0, 100]


@pytest.mark.parametrize("by", Distribution)
def test_more_named_on_an_invoice_than_is_open_leaves_it_nothing_to_share(by: Distribution) -> None:
    one, other = owing(1, 10, JANUARY), owing(2, 100, FEBRUARY)
    assert distribute(sharing(60, 40, None, None), [one, one, other], by) == [40, 0, 20]


@pytest.mark.parametrize("by", Distribution)
def test_a_closed_invoice_takes_no_share(by: Distribution) -> None:
    assert shares(30, closed(1, 100), owing(2, 20, MARCH), owing(3, 10, MARCH), by=by) == [0, 20, 10]


def test_nothing_goes_to_a_closed_invoice_even_when_no_other_can_take_it() -> None:
    """The last in turn has the rest on its line; it is closed, so that stays unfocused."""
    other, its_owner_closed = owing(1, 10), closed(2, 500)
    verdict = judge(sharing(100, 10, None, None), [other, other, its_owner_closed])
    assert verdict.is_booked
    assert [(line.amount_minor, line.unfocused) for line in verdict.lines] == [(10, 0), (0, 0), (90, 90)]


def test_a_payment_whose_sharers_are_all_closed_is_refused() -> None:
    for invoices in ([closed(1, 100), owing(2, 0)], [owing(2, 0), closed(1, 100)]):
        assert judge(sharing(30, None, None), invoices).reason is Reason.INVOICE_CLOSED
    assert judge(sharing(30, 10, None), [owing(1, 100), closed(2, 100)]).reason is Reason.INVOICE_CLOSED


def test_of_those_that_share_one_open_invoice_is_enough() -> None:
    assert judge(sharing(30, None, None), [closed(1, 100), owing(2, 50)]).is_booked


def test_a_line_with_an_amount_on_a_closed_invoice_refuses_the_payment_whatever_the_others_share() -> None:
    verdict = judge(sharing(30, 10, None), [closed(1, 100), owing(2, 50)])
    assert verdict.reason is Reason.INVOICE_CLOSED


# All that is open.


def test_all_is_what_is_open_as_the_lines_turn_comes() -> None:
    assert pay_all(owing(1, 100), owing(2, 30)) == [100, 30]
    one = owing(1, 100)
    assert pay_all(one, one, named={0: 40}) == [40, 60]
    assert pay_all(one, one, named={1: 40}) == [100, 40]
    assert pay_all(one, one, named={0: 140}) == [140, 0]


def test_of_two_lines_that_pay_all_of_an_invoice_the_second_finds_nothing() -> None:
    assert pay_all(owing(1, 100), owing(1, 100)) == [100, 0]


def test_all_of_a_closed_invoice_is_nothing() -> None:
    assert pay_all(closed(1, 100), owing(2, 0)) == [0, 0]


def test_all_pays_the_interest_and_the_notice_fee_too() -> None:
    assert pay_all(an_invoice(100, 20, 3)) == [123]


# Who chooses.


def test_the_company_chooses_how_a_total_is_shared_and_the_message_goes_before() -> None:
    invoices = owing(1, 10, JANUARY), owing(2, 30, MARCH)
    policy = a_policy(distribution=Distribution.HIGHEST_AMOUNT)

    def paid(by: Distribution | None) -> list[int]:
        registration = a_registration(a_line(None), a_line(None), total_minor=20, distribution=by)
        return [line.amount_minor for line in judge(registration, invoices, policy).lines]

    assert paid(None) == [0, 20]
    assert paid(Distribution.OLDEST_DUE) == [10, 10]
    assert a_policy().distribution is Distribution.OLDEST_DUE
