from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from schemas.orders import AllocationOrder
from schemas.outcome import Status
from schemas.registration import Identifier, Registration
from tests.builders import TODAY, a_line, a_policy, a_registration, an_invoice
from tests.unit.decisions import judge, told
from worker.domain.allocation import NOTHING, Components
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch
from worker.domain.policy import DuplicateCheck, Overpayment, Treatment
from worker.domain.verdict import Reason, Twin, unbooked

TOMORROW = TODAY + timedelta(days=1)
TWIN = Twin(invoice_id=1, paydate=TODAY, amount_minor=71000, payment_type=None)


def test_what_is_open_is_booked() -> None:
    verdict = judge()
    assert told(verdict) == (Status.OHISPAY, Reason.BOOKED)
    (line,) = verdict.lines
    assert (line.before, line.allocation, line.after) == (Components(71000), Components(71000), NOTHING)
    assert line.unfocused == 0


def test_a_part_of_what_is_open_is_booked() -> None:
    (line,) = judge(matches=[an_invoice(100000, allocated=Components(20000))]).lines
    assert (line.before, line.allocation, line.after) == (Components(80000), Components(71000), Components(9000))


def test_the_amount_zero_is_ignored() -> None:
    assert told(judge(a_registration(a_line(0)))) == (Status.IGNORE, Reason.AMOUNT_ZERO)
    assert told(judge(a_registration(a_line(1)))) == (Status.OHISPAY, Reason.BOOKED)


@pytest.mark.parametrize(
    ("treatment", "status", "reason"),
    [
        (Treatment.ROPO, Status.ROPO, Reason.TYPE_SETTLEMENT),
        (Treatment.ROPO_REFUND, Status.ROPO_REFUND, Reason.TYPE_SETTLEMENT_REFUND),
        (Treatment.IGNORE, Status.IGNORE, Reason.TYPE_MUTED),
    ],
)
def test_a_type_is_treated_as_the_company_says(treatment: Treatment, status: Status, reason: Reason) -> None:
    policy = a_policy(treat={"special": treatment})
    assert told(judge(a_registration(payment_type="special"), policy=policy)) == (status, reason)
    assert judge(a_registration(payment_type="special")).is_booked
    assert judge(a_registration(payment_type="other"), policy=policy).is_booked
    assert judge(a_registration(payment_type=None), policy=policy).is_booked


def test_a_payment_date_in_a_closed_period_is_old() -> None:
    policy = a_policy(books_closed_until=TODAY)
    verdict = judge(policy=policy)
    assert told(verdict) == (Status.OLD, Reason.PERIOD_CLOSED)
    assert verdict.text == "The books are closed until 2017-10-10"
    assert judge(policy=a_policy(books_closed_until=TODAY - timedelta(days=1))).is_booked
    assert judge(policy=a_policy(books_closed_until=None)).is_booked


def test_a_payment_date_in_the_future_is_not_booked_yet() -> None:
    assert told(judge(a_registration(paydate=TOMORROW))) == (Status.UNDONE, Reason.PAYDATE_IN_FUTURE)
    assert judge(a_registration(paydate=TODAY)).is_booked
    assert judge(a_registration(paydate=date(1, 1, 1))).is_booked


def test_an_unknown_invoice_is_awaited_while_the_company_waits_and_not_found_after() -> None:
    assert told(judge(matches=[Mismatch.NOT_FOUND], may_await=True)) == (Status.UNDONE, Reason.INVOICE_AWAITED)
    assert told(judge(matches=[Mismatch.NOT_FOUND])) == (Status.NOT_FOUND, Reason.INVOICE_NOT_FOUND)


def test_an_invoice_of_another_company_is_told_as_such() -> None:
    verdict = judge(matches=[Mismatch.FOREIGN])
    assert told(verdict) == (Status.DIFFCID, Reason.INVOICE_OF_ANOTHER_COMPANY)
    assert verdict.lines[0].invoice is None


def test_ones_own_invoice_is_awaited_though_another_company_uses_the_same_number() -> None:
    verdict = judge(matches=[Mismatch.FOREIGN], may_await=True)
    assert told(verdict) == (Status.UNDONE, Reason.INVOICE_AWAITED)


@pytest.mark.parametrize("may_await", [True, False])
def test_where_foreign_invoices_are_hidden_one_is_answered_just_like_none(may_await: bool) -> None:  # noqa: FBT001
    policy = a_policy(hide_foreign=True)
    hidden = judge(matches=[Mismatch.FOREIGN], policy=policy, may_await=may_await)
    assert hidden == judge(matches=[Mismatch.NOT_FOUND], policy=policy, may_await=may_await)
    assert hidden.reason is (Reason.INVOICE_AWAITED if may_await else Reason.INVOICE_NOT_FOUND)


@pytest.mark.parametrize("may_await", [True, False])
def test_identifiers_that_disagree_fail(may_await: bool) -> None:  # noqa: FBT001
    verdict = judge(matches=[Mismatch.DISAGREE], may_await=may_await)
    assert told(verdict) == (Status.FAIL, Reason.IDENTIFIERS_DISAGREE)


def test_another_currency_than_the_invoices_fails_and_tells_no_amount_in_it() -> None:
    verdict = judge(matches=[an_invoice(currency="USD")])
    assert told(verdict) == (Status.FAIL, Reason.WRONG_CURRENCY)
    assert verdict.text == "The payment is in EUR, its invoice in USD"
    assert verdict.lines[0].before == NOTHING


def test_a_cancelled_invoice_takes_no_payment() -> None:
    invoice = an_invoice(state="CANCELLED")
    verdict = judge(matches=[invoice])
    assert told(verdict) == (Status.CANCELLED, Reason.INVOICE_CANCELLED)
    assert verdict.lines[0].invoice == invoice
    assert verdict.lines[0].before == Components(71000)


@pytest.mark.parametrize(
    "invoice",
    [an_invoice(state="CLOSED"), an_invoice(0), an_invoice(71000, 5, 1, allocated=Components(71000, 5, 1))],
    ids=["stated closed", "nothing stated", "all paid"],
)
def test_a_closed_invoice_takes_no_payment(invoice: Invoice) -> None:
    assert told(judge(matches=[invoice])) == (Status.CLOSE, Reason.INVOICE_CLOSED)


@pytest.mark.parametrize("component", ["capital", "interest", "noticefee"])
def test_an_invoice_on_which_a_single_minor_unit_is_open_is_not_closed(component: str) -> None:
    invoice = an_invoice(10, 10, 10, allocated=Components(10, 10, 10).minus(Components(**{component: 1})))
    verdict = judge(a_registration(a_line(1)), [invoice])
    assert verdict.is_booked
    assert verdict.lines[0].allocation == Components(**{component: 1})


def test_what_is_more_than_open_stays_unfocused_where_the_company_keeps_it() -> None:
    verdict = judge(a_registration(a_line(71001)))
    assert told(verdict) == (Status.OHISPAY, Reason.BOOKED)
    assert (verdict.lines[0].allocation, verdict.lines[0].unfocused) == (Components(71000), 1)


def test_what_is_more_than_open_fails_where_the_company_rejects_it() -> None:
    policy = a_policy(overpayment=Overpayment.REJECT)
    assert told(judge(a_registration(a_line(71001)), policy=policy)) == (Status.FAIL, Reason.OVERPAYMENT)
    assert judge(a_registration(a_line(71000)), policy=policy).is_booked


def test_what_is_more_than_open_fails_where_the_source_refuses_it() -> None:
    registration = a_registration(a_line(71001), refuses_overpayment=True)
    assert told(judge(registration)) == (Status.FAIL, Reason.OVERPAYMENT)
    assert judge(a_registration(refuses_overpayment=True)).is_booked


@pytest.mark.parametrize(
    ("check", "status", "reason"),
    [
        (DuplicateCheck.OFF, Status.OHISPAY, Reason.BOOKED),
        (DuplicateCheck.FLAG, Status.OHISPAY, Reason.BOOKED_POSSIBLE_DUPLICATE),
        (DuplicateCheck.REJECT, Status.OLD, Reason.DUPLICATE),
    ],
)
def test_a_twin_is_booked_flagged_or_rejected_as_the_company_says(
    check: DuplicateCheck, status: Status, reason: Reason
) -> None:
    policy = a_policy(duplicates=check)
    assert told(judge(policy=policy, twins=frozenset({TWIN}))) == (status, reason)
    assert told(judge(policy=policy)) == (Status.OHISPAY, Reason.BOOKED)


@pytest.mark.parametrize(
    "other",
    [
        TWIN._replace(invoice_id=2),
        TWIN._replace(paydate=TOMORROW),
        TWIN._replace(amount_minor=71001),
        TWIN._replace(payment_type="cash"),
    ],
    ids=["invoice", "date", "amount", "type"],
)
def test_a_payment_that_differs_in_one_thing_is_no_twin(other: Twin) -> None:
    policy = a_policy(duplicates=DuplicateCheck.REJECT)
    assert judge(policy=policy, twins=frozenset({other})).is_booked


def test_the_companys_order_for_the_type_decides_where_the_amount_goes() -> None:
    invoice = an_invoice(500, 200, 100)
    policy = a_policy(allocation_for={"loan": AllocationOrder.INTEREST_CAPITAL_NOTICEFEE})
    by_type = {
        payment_type: judge(a_registration(a_line(250), payment_type=payment_type), [invoice], policy)
        .lines[0]
        .allocation
        for payment_type in (None, "loan", "directpayment")
    }
    assert by_type == {
        None: Components(0, 150, 100),
        "loan": Components(50, 200, 0),
        "directpayment": Components(250, 0, 0),
    }


# Several lines. They are booked all or none.

OTHER = an_invoice(5000, number=2, names=[Identifier("billcode", "other")])


def two_lines(first: int, second: int) -> Registration:
    return a_registration(a_line(first), a_line(second, Identifier("billcode", "other")))


def test_lines_on_two_invoices_are_booked_each_on_its_own() -> None:
    lines = judge(two_lines(700, 300), [an_invoice(), OTHER]).lines
    assert [(line.before.capital, line.allocation.capital) for line in lines] == [(71000, 700), (5000, 300)]


def test_lines_on_one_invoice_see_what_earlier_lines_left_open() -> None:
    lines = judge(a_registration(a_line(70000), a_line(1500)), [an_invoice()] * 2).lines
    assert [(line.before.capital, line.allocation.capital, line.unfocused) for line in lines] == [
        (71000, 70000, 0),
        (1000, 1000, 500),
    ]


def test_a_line_after_the_one_that_closes_its_invoice_stays_unfocused_and_refuses_nothing() -> None:
    verdict = judge(a_registration(a_line(71000), a_line(500)), [an_invoice()] * 2)
    assert told(verdict) == (Status.OHISPAY, Reason.BOOKED)
    assert [line.unfocused for line in verdict.lines] == [0, 500]


def test_lines_that_are_together_more_than_open_are_an_overpayment() -> None:
    policy = a_policy(overpayment=Overpayment.REJECT)
    for first in (70000, 71000):
        verdict = judge(a_registration(a_line(first), a_line(1001)), [an_invoice()] * 2, policy)
        assert told(verdict) == (Status.FAIL, Reason.OVERPAYMENT)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (Mismatch.NOT_FOUND, Reason.INVOICE_NOT_FOUND),
        (replace(OTHER, currency="USD"), Reason.WRONG_CURRENCY),
        (replace(OTHER, stated_state="CANCELLED"), Reason.INVOICE_CANCELLED),
        (replace(OTHER, stated_state="CLOSED"), Reason.INVOICE_CLOSED),
    ],
)
def test_one_line_that_cannot_be_booked_refuses_all(second: Invoice | Mismatch, reason: Reason) -> None:
    for matches in ([an_invoice(), second], [second, an_invoice()]):
        assert told(judge(two_lines(700, 300), matches))[1] is reason


def test_one_line_with_a_twin_makes_the_payment_one() -> None:
    policy = a_policy(duplicates=DuplicateCheck.FLAG)
    for twin in (TWIN._replace(amount_minor=700), TWIN._replace(invoice_id=2, amount_minor=300)):
        verdict = judge(two_lines(700, 300), [an_invoice(), OTHER], policy, twins=frozenset({twin}))
        assert verdict.reason is Reason.BOOKED_POSSIBLE_DUPLICATE


def test_a_line_of_zero_among_others_is_booked_with_them() -> None:
    assert judge(two_lines(0, 300), [an_invoice(), OTHER]).is_booked


def test_a_line_of_zero_has_no_twin() -> None:
    """Else two payments that share their totals among the same invoices would be twins by what they do not pay."""
    policy = a_policy(duplicates=DuplicateCheck.REJECT)
    twins = frozenset({TWIN._replace(amount_minor=0)})
    assert judge(two_lines(0, 300), [an_invoice(), OTHER], policy, twins=twins).reason is Reason.BOOKED


def test_a_refusal_tells_what_is_open_on_the_invoices_it_knows() -> None:
    lines = unbooked(two_lines(700, 300), [Mismatch.NOT_FOUND, OTHER])
    assert [(line.invoice, line.before, line.unfocused) for line in lines] == [
        (None, NOTHING, 700),
        (OTHER, Components(5000), 300),
    ]


def test_each_line_has_its_match() -> None:
    for registration in (a_registration(), a_registration(a_line(0))):
        with pytest.raises(ValueError, match="zip"):
            judge(registration, matches=[])


def test_the_statuses_are_ropos() -> None:
    assert {status.name: status.value for status in Status} == {
        "UNDONE": 0,
        "FAIL": 1,
        "OLD": 2,
        "ROPO": 3,
        "ROPO_REFUND": 4,
        "CLOSE": 5,
        "OHISPAY": 6,
        "IGNORE": 8,
        "DIFFCID": 9,
        "NOT_FOUND": 10,
        "CANCELLED": 11,
    }
