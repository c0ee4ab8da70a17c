"""Payments from a wallet: only its unconditional funds pay, and never more than there are."""

from typing import Any

import pytest

from schemas.codec import read_json
from schemas.outcome import Status
from schemas.registration import Identifier, Registration, WalletKind, WalletName
from tests.builders import (
    Books,
    a_cancel,
    a_line,
    a_policy,
    a_registration,
    a_request,
    a_wallet,
    an_invalid_request,
    an_invoice,
    reasons,
)
from tests.unit.decisions import settle
from worker.domain.allocation import NOTHING, Components
from worker.domain.policy import Overpayment
from worker.domain.verdict import Reason
from worker.domain.wallet import Wallet

W1 = WalletName("number", "W1")
OTHER = Identifier("billcode", "other")


def from_wallet(amount_minor: int | None = 71000, **changes: Any) -> Registration:
    return a_registration(a_line(amount_minor), **{"wallet": W1} | changes)


def books(*wallets: Wallet, owed: int = 71000, **changes: Any) -> Books:
    return Books(an_invoice(owed), wallets=wallets, policies=[a_policy(**changes)])


def refused(reason: Reason, books: Books, registration: Registration) -> None:
    """The payment is refused for the reason, and neither invoice nor wallet has changed."""
    invoices, wallets = dict(books.view.invoices), dict(books.view.wallets)
    verdict = books.settle_one(a_request(registration)).verdict
    assert (verdict.status, verdict.reason, verdict.wallet_id) == (Status.FAIL, reason, None)
    assert (books.view.invoices, books.view.wallets) == (invoices, wallets)


def test_a_payment_draws_its_amount() -> None:
    found = books(a_wallet(100000, number=1), a_wallet(100000, number=2))
    settled = found.settle_one(a_request(from_wallet(70000)))
    assert settled.verdict.is_booked
    assert settled.verdict.wallet_id == 1
    assert [found.view.wallets[number].available for number in (1, 2)] == [30000, 100000]
    assert found.open() == Components(1000)


@pytest.mark.parametrize(("kind", "value"), [("id", "A1"), ("number", "W1")])
def test_a_wallet_goes_by_its_id_and_by_its_number(kind: WalletKind, value: str) -> None:
    found = books(a_wallet(names={"id": "A1", "number": "W1"}))
    assert found.settle_one(a_request(from_wallet(wallet=WalletName(kind, value)))).verdict.is_booked
    crossed = WalletName("number" if kind == "id" else "id", value)
    refused(Reason.WALLET_NOT_FOUND, books(a_wallet(names={"id": "A1", "number": "W1"})), from_wallet(wallet=crossed))


def test_the_outcome_says_that_a_wallet_paid() -> None:
    told: Any = read_json(books(a_wallet()).settle_one(a_request(from_wallet())).body)
    assert told["settled_by"] == "wallet"
    told = read_json(books().settle_one(a_request()).body)
    assert told["settled_by"] == "money"


def test_a_payment_that_names_no_wallet_draws_none() -> None:
    found = books(a_wallet())
    assert found.settle_one(a_request()).verdict.wallet_id is None
    assert found.view.wallets[1] == a_wallet()


# Refusals.


def test_an_unknown_wallet_is_not_found() -> None:
    refused(Reason.WALLET_NOT_FOUND, books(), from_wallet())


def test_another_companys_wallet_is_not_found() -> None:
    policies = [a_policy(), a_policy(company="other")]
    refused(
        Reason.WALLET_NOT_FOUND,
        Books(an_invoice(), wallets=[a_wallet(company="other")], policies=policies),
        from_wallet(),
    )


def test_a_wallet_in_another_currency_does_not_pay() -> None:
    refused(Reason.WRONG_CURRENCY, books(a_wallet(currency="USD")), from_wallet())


def test_just_enough_is_enough_and_a_cent_less_is_not() -> None:
    assert books(a_wallet(71000)).settle_one(a_request(from_wallet())).verdict.is_booked
    refused(Reason.WALLET_FUNDS_INSUFFICIENT, books(a_wallet(70999)), from_wallet())


def test_conditional_funds_pay_nothing() -> None:
    refused(Reason.WALLET_FUNDS_INSUFFICIENT, books(a_wallet(70999, 10**9)), from_wallet())


def test_what_was_drawn_before_is_there_no_more() -> None:
    assert books(a_wallet(100000, drawn=29000)).settle_one(a_request(from_wallet())).verdict.is_booked
    refused(Reason.WALLET_FUNDS_INSUFFICIENT, books(a_wallet(100000, drawn=29001)), from_wallet())


def test_the_lines_are_paid_together_or_not_at_all() -> None:
    registration = a_registration(a_line(60000), a_line(11000, OTHER), wallet=W1)
    invoices = an_invoice(), an_invoice(number=2, names=[OTHER])
    refused(Reason.WALLET_FUNDS_INSUFFICIENT, Books(*invoices, wallets=[a_wallet(70999)]), registration)
    enough = Books(*invoices, wallets=[a_wallet(71000)])
    assert enough.settle_one(a_request(registration)).verdict.is_booked
    assert (enough.open(1), enough.open(2)) == (Components(11000), Components(60000))


def test_all_that_is_open_has_to_be_in_the_wallet() -> None:
    refused(Reason.WALLET_FUNDS_INSUFFICIENT, books(a_wallet(70999)), from_wallet(None))
    enough = books(a_wallet(71000))
    assert enough.settle_one(a_request(from_wallet(None))).verdict.amount_minor == 71000


@pytest.mark.parametrize("overpayment", Overpayment)
def test_a_wallet_is_never_drawn_for_more_than_is_open(overpayment: Overpayment) -> None:
    refused(Reason.OVERPAYMENT, books(a_wallet(), owed=70999, overpayment=overpayment), from_wallet())


def test_a_wallet_pays_no_surcharge() -> None:
    found = books(a_wallet(71000))
    assert found.settle_one(a_request(from_wallet(surcharge_minor=500))).verdict.is_booked
    assert found.view.wallets[1].available == 0


# Several payments.


def test_two_payments_that_are_together_too_much_are_not_both_booked(*, is_one_batch: bool) -> None:
    found = books(a_wallet(100000), owed=200000)
    requests = [a_request(from_wallet(60000), key=key) for key in ("1", "2")]
    told = settle(found, *requests, is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.WALLET_FUNDS_INSUFFICIENT]
    assert found.view.wallets[1].available == 40000
    assert found.open() == Components(140000)


def test_a_refused_payment_leaves_the_funds_to_the_next() -> None:
    found = books(a_wallet(71000), owed=200000)
    requests = [a_request(from_wallet(amount), key=str(amount)) for amount in (71001, 71000)]
    assert reasons(found.settle(*requests)) == [Reason.WALLET_FUNDS_INSUFFICIENT, Reason.BOOKED]


def test_the_same_payment_again_draws_once() -> None:
    found = books(a_wallet(), owed=200000)
    assert reasons(found.settle(a_request(from_wallet()), a_request(from_wallet()))) == [Reason.BOOKED, "replayed"]
    assert found.view.wallets[1].available == 29000


def test_what_could_not_be_read_draws_nothing() -> None:
    found = books(a_wallet())
    found.settle(an_invalid_request())
    assert found.view.wallets[1] == a_wallet()


def test_a_cancellation_gives_back_what_was_drawn_and_the_next_payment_can_use_it(*, is_one_batch: bool) -> None:
    found = books(a_wallet(71000))
    requests = [
        a_request(from_wallet(None), key="1"),
        a_request(from_wallet(1), key="2"),
        a_cancel("1"),
        a_request(from_wallet(None), key="3"),
    ]
    told = settle(found, *requests, is_one_batch=is_one_batch)
    assert told == [Reason.BOOKED, Reason.INVOICE_CLOSED, Reason.CANCELLED, Reason.BOOKED]
    assert (found.view.wallets[1].available, found.open()) == (0, NOTHING)


def test_a_cancellation_gives_back_to_the_wallet_that_paid() -> None:
    found = books(a_wallet(number=1), a_wallet(number=2))
    found.settle(a_request(from_wallet(wallet=WalletName("number", "W2"))))
    settled = found.settle_one(a_cancel())
    assert settled.verdict.wallet_id == 2
    assert found.view.wallets == {1: a_wallet(number=1), 2: a_wallet(number=2)}
    told: Any = read_json(settled.body)
    assert (told["settled_by"], told["amount"]) == ("wallet", "-710.00")
