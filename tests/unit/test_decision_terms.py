"""What else a payment can say: all that is open, an account, a gateway, a write-off, a surcharge, an order."""

from typing import Any

import pytest

from schemas.codec import read_json
from schemas.limits import AMOUNT_MINOR_MAX
from schemas.orders import AllocationOrder
from schemas.outcome import Status
from schemas.registration import AccountKind, AccountName, Identifier, Registration
from tests.builders import Books, a_line, a_policy, a_registration, a_request, a_wallet, an_invoice, reasons
from tests.unit.decisions import judge, told
from worker.domain.allocation import Components
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch
from worker.domain.policy import DuplicateCheck, Overpayment, Treatment
from worker.domain.verdict import Reason, Twin

OTHER = Identifier("billcode", "other")
ALL = a_registration(a_line(None))
TWO_ALL = a_registration(a_line(None), a_line(None, OTHER))


def amounts(registration: Registration, *matches: Invoice | Mismatch) -> list[int]:
    return [line.amount_minor for line in judge(registration, matches).lines]


# All that is open.


def test_all_that_is_open_is_booked() -> None:
    verdict = judge(ALL, [an_invoice(50000, 300, 20, allocated=Components(10000))])
    assert told(verdict) == (Status.OHISPAY, Reason.BOOKED)
    (line,) = verdict.lines
    assert (line.amount_minor, line.allocation, line.unfocused) == (40320, Components(40000, 300, 20), 0)


def test_all_that_is_open_of_a_closed_invoice_is_refused() -> None:
    assert told(judge(ALL, [an_invoice(0)])) == (Status.CLOSE, Reason.INVOICE_CLOSED)
    assert told(judge(ALL, [an_invoice(state="CLOSED")])) == (Status.CLOSE, Reason.INVOICE_CLOSED)
    assert told(judge(TWO_ALL, [an_invoice(), an_invoice(0, number=2)])) == (Status.CLOSE, Reason.INVOICE_CLOSED)


def test_all_that_is_open_is_no_overpayment() -> None:
    registration = a_registration(a_line(None), a_line(None), refuses_overpayment=True)
    verdict = judge(registration, [an_invoice()] * 2, a_policy(overpayment=Overpayment.REJECT))
    assert told(verdict) == (Status.OHISPAY, Reason.BOOKED)
    assert [line.amount_minor for line in verdict.lines] == [71000, 0]


def test_of_two_payments_of_all_the_second_finds_the_invoice_closed() -> None:
    books = Books(an_invoice())
    assert reasons(books.settle(a_request(ALL, "1"), a_request(ALL, "2"))) == [Reason.BOOKED, Reason.INVOICE_CLOSED]


def test_a_twin_is_recognized_by_what_all_came_to() -> None:
    policy = a_policy(duplicates=DuplicateCheck.REJECT)
    for amount, reason in ((71000, Reason.DUPLICATE), (70999, Reason.BOOKED)):
        twins = frozenset({Twin(1, ALL.paydate, amount, None)})
        assert judge(ALL, policy=policy, twins=twins).reason is reason


def test_a_refusal_tells_all_that_is_open_as_far_as_it_is_known() -> None:
    cancelled = an_invoice(number=2, state="CANCELLED")
    assert amounts(ALL, an_invoice(state="CANCELLED")) == [71000]
    assert amounts(ALL, Mismatch.NOT_FOUND) == [0]
    assert amounts(ALL, an_invoice(currency="USD")) == [0]
    assert amounts(TWO_ALL, Mismatch.NOT_FOUND, cancelled) == [0, 71000]
    assert amounts(a_registration(a_line(5), a_line(None, OTHER)), an_invoice(), cancelled) == [5, 71000]
    assert amounts(TWO_ALL, cancelled, cancelled) == [71000, 0]


def test_a_refusal_tells_the_whole_total_though_nobody_has_shared_it_yet() -> None:
    cancelled = an_invoice(state="CANCELLED")
    for named, told_amounts in (((None, None), [0, 900]), ((700, None), [700, 200]), ((None, 700), [200, 700])):
        registration = a_registration(*(a_line(amount) for amount in named), total_minor=900)
        assert amounts(registration, cancelled, cancelled) == told_amounts
        assert amounts(registration, Mismatch.NOT_FOUND, Mismatch.NOT_FOUND) == told_amounts


def test_more_than_the_books_can_hold_is_refused() -> None:
    largest = an_invoice(AMOUNT_MINOR_MAX), an_invoice(AMOUNT_MINOR_MAX, number=2)
    assert judge(ALL, largest[:1]).is_booked
    verdict = judge(TWO_ALL, largest)
    assert told(verdict) == (Status.FAIL, Reason.AMOUNT_TOO_LARGE)
    assert verdict.amount_minor == 0
    one_more = a_registration(a_line(1), a_line(None, OTHER))
    verdict = judge(one_more, [an_invoice(), largest[1]])
    assert told(verdict) == (Status.FAIL, Reason.AMOUNT_TOO_LARGE)
    assert [line.amount_minor for line in verdict.lines] == [1, 0]


def test_a_payment_whose_total_is_zero_is_ignored_and_one_of_all_is_not() -> None:
    assert told(judge(a_registration(a_line(None), total_minor=0)))[1] is Reason.AMOUNT_ZERO
    assert told(judge(a_registration(a_line(None), a_line(0)), [an_invoice()] * 2))[1] is Reason.BOOKED


# The account.

HELD = [AccountName("id", "A"), AccountName("number", "192"), AccountName("name", "Smith")]


@pytest.mark.parametrize("kind", ["id", "number", "name"])
def test_the_invoice_must_belong_to_the_account_under_the_kind_of_name_given(kind: AccountKind) -> None:
    (own,) = (account for account in HELD if account.kind == kind)
    for account, accounts, is_booked in (
        (own, HELD, True),
        (own, [own], True),
        (own._replace(value=own.value.lower() + "x"), HELD, False),
        (own, [account for account in HELD if account != own], False),
        (own, [], False),
        *((own._replace(value=other.value), HELD, False) for other in HELD if other != own),
    ):
        verdict = judge(a_registration(account=account), [an_invoice(accounts=accounts)])
        expected = (Status.OHISPAY, Reason.BOOKED) if is_booked else (Status.FAIL, Reason.INVOICE_OF_ANOTHER_ACCOUNT)
        assert told(verdict) == expected


def test_every_invoice_must_belong_to_the_account() -> None:
    registration = a_registration(a_line(5), a_line(5, OTHER), account=HELD[0])
    mine, theirs = an_invoice(accounts=HELD), an_invoice(number=2)
    for matches in ([mine, theirs], [theirs, mine]):
        assert judge(registration, matches).reason is Reason.INVOICE_OF_ANOTHER_ACCOUNT
    assert judge(registration, [mine, mine]).is_booked


def test_a_payment_that_names_no_account_pays_any() -> None:
    assert judge(matches=[an_invoice(accounts=HELD)]).is_booked


# Gateways.


def test_what_would_charge_a_gateway_is_refused() -> None:
    policy = a_policy(gateways=frozenset({"card", "online"}))
    refusal = Status.FAIL, Reason.GATEWAY_CHARGE_UNSUPPORTED
    assert told(judge(a_registration(charges_gateway=True))) == refusal
    for name in ("card", "online"):
        assert told(judge(a_registration(method=name), policy=policy)) == refusal
        assert told(judge(a_registration(payment_type=name), policy=policy)) == refusal
        assert judge(a_registration(method=name, payment_type=name)).is_booked
    assert judge(a_registration(method="cash", payment_type="transfer"), policy=policy).is_booked
    assert judge(policy=policy).is_booked


def test_a_type_that_the_company_treats_otherwise_is_not_asked_for_its_gateway() -> None:
    policy = a_policy(gateways=frozenset({"card"}), treat={"card": Treatment.ROPO})
    assert judge(a_registration(payment_type="card"), policy=policy).reason is Reason.TYPE_SETTLEMENT


# Write-offs.


def test_a_write_off_closes_the_invoice_and_says_so() -> None:
    books = Books(an_invoice())
    outcome: Any = read_json(books.settle_one(a_request(a_registration(is_write_off=True))).body)
    assert (outcome["statusid"], outcome["settled_by"], outcome["invoicestate"]) == (6, "write_off", "CLOSED")
    assert (outcome["focusedtocapital"], outcome["writtenoffcapital"]) == ("710.00", "0.00")


@pytest.mark.parametrize("overpayment", Overpayment)
def test_no_more_is_written_off_than_is_owed(overpayment: Overpayment) -> None:
    policy = a_policy(overpayment=overpayment)
    for amount, reason in ((71000, Reason.BOOKED), (71001, Reason.OVERPAYMENT)):
        assert told(judge(a_registration(a_line(amount), is_write_off=True), policy=policy))[1] is reason


# Surcharges.


def test_a_surcharge_is_told_and_pays_no_part_of_the_invoice() -> None:
    books = Books(an_invoice())
    settled = books.settle_one(a_request(a_registration(a_line(70000), surcharge_minor=1500)))
    outcome: Any = read_json(settled.body)
    assert (outcome["surcharge"], outcome["amount"], outcome["unfocused"]) == ("15.00", "700.00", "0.00")
    assert settled.verdict.surcharge_minor == 1500
    assert books.open() == Components(1000)


def test_a_surcharge_is_no_overpayment() -> None:
    registration = a_registration(surcharge_minor=1, refuses_overpayment=True)
    assert judge(registration, policy=a_policy(overpayment=Overpayment.REJECT)).is_booked


def test_nothing_is_surcharged_of_a_payment_that_is_not_booked() -> None:
    outcome: Any = read_json(Books().settle_one(a_request(a_registration(surcharge_minor=1500))).body)
    assert (outcome["statusid"], outcome["surcharge"]) == (10, "0.00")


# The order of the components.


def test_the_order_that_the_message_asks_for_goes_before_the_companys_and_the_types() -> None:
    invoice = an_invoice(500, 200, 100)
    order = AllocationOrder.INTEREST_CAPITAL_NOTICEFEE
    policy = a_policy(
        allocation=AllocationOrder.PRO_RATA, allocation_for={"loan": AllocationOrder.CAPITAL_INTEREST_NOTICEFEE}
    )
    for payment_type in (None, "loan", "directpayment"):
        registration = a_registration(a_line(250), payment_type=payment_type, allocation=order)
        assert judge(registration, [invoice], policy).lines[0].allocation == Components(50, 200, 0)
    without = a_registration(a_line(250), payment_type="loan")
    assert judge(without, [invoice], policy).lines[0].allocation == Components(250, 0, 0)


def test_a_wallet_that_the_payment_does_not_name_makes_no_difference() -> None:
    assert Books(an_invoice(), wallets=[a_wallet(0)]).settle_one(a_request()).verdict.is_booked
