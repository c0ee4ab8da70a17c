from decimal import Decimal
from typing import Any

import pytest

from schemas.codec import parse
from schemas.invalid import InvalidMessageError
from schemas.registration import WALLET_KINDS, WalletKind
from schemas.wallet import WalletPut
from tests.builders import COMPANY
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.wallet import Wallet, WalletStatement, state_wallet

PLAIN = {"number": "W1", "unconditional": "100.00", "version": 1}


def a_put(**changes: Any) -> WalletPut:
    return parse(WalletPut, PLAIN | changes)


def a_wallet(
    unconditional: int = 10000,
    *,
    drawn: int = 0,
    number: int = 1,
    names: dict[WalletKind, str] | None = None,
    currency: str = "EUR",
    version: int = 5,
) -> Wallet:
    return Wallet(
        id=number,
        company=COMPANY,
        names=names or {"number": "W1"},
        currency=currency,
        version=version,
        unconditional=unconditional,
        conditional=700,
        drawn=drawn,
    )


def stated(put: WalletPut, *known: Wallet, company_currency: str = "EUR") -> WalletStatement:
    statement = state_wallet(put, COMPANY, company_currency, known)
    assert statement is not None
    return statement


def refusal(put: WalletPut, *known: Wallet) -> tuple[str, str]:
    with pytest.raises(RefusedError) as refused:
        state_wallet(put, COMPANY, "EUR", known)
    assert refused.value.reason is DeadLetterReason.INVALID
    (error,) = refused.value.errors
    assert refused.value.text == f"{error['field']} {error['message']}"
    return error["field"], error["message"]


# The wallet itself.


def test_what_is_available_is_the_unconditional_funds_less_what_was_drawn() -> None:
    wallet = a_wallet(10000, drawn=2500)
    assert wallet.available == 7500
    assert wallet.drawn_by(7500).available == 0
    assert wallet.drawn_by(-2500).available == 10000
    assert (wallet.drawn, wallet.drawn_by(100).unconditional, wallet.drawn_by(100).conditional) == (2500, 10000, 700)


# What a statement does.


def test_a_wallet_that_is_not_known_is_new() -> None:
    assert stated(a_put(id="A", conditional="1.50")) == WalletStatement(
        company=COMPANY,
        wallet_id=None,
        names={"id": "A", "number": "W1"},
        currency="EUR",
        version=1,
        unconditional=10000,
        conditional=150,
    )


def test_a_wallet_that_is_known_is_stated_anew_and_keeps_the_name_that_is_left_out() -> None:
    known = a_wallet(number=7, names={"id": "A", "number": "W1"})
    assert stated(a_put(number="W2", id="A", version=6), known).names == {"id": "A", "number": "W2"}
    assert stated(a_put(number=None, id="A", version=6, unconditional=5), known) == WalletStatement(
        company=COMPANY,
        wallet_id=7,
        names={"id": "A", "number": "W1"},
        currency="EUR",
        version=6,
        unconditional=500,
        conditional=0,
    )


@pytest.mark.parametrize("version", [4, 5])
def test_a_version_not_above_the_one_held_is_ignored_whatever_it_states(version: int) -> None:
    put = a_put(version=version, unconditional="0.001", currency="USD")
    assert state_wallet(put, COMPANY, "EUR", [a_wallet(drawn=1)]) is None


def test_names_of_two_wallets_are_refused_whatever_the_version() -> None:
    known = (a_wallet(number=1), a_wallet(number=2))
    assert refusal(a_put(), *known) == ("message", "has names of several wallets")


def test_one_wallet_found_under_both_of_its_names_is_one() -> None:
    assert stated(a_put(version=6), a_wallet(), a_wallet()).wallet_id == 1


def test_what_is_stated_may_fall_to_what_is_drawn_but_not_below() -> None:
    known = a_wallet(10000, drawn=2500)
    assert stated(a_put(version=6, unconditional=25), known).unconditional == 2500
    told = "is less than what is already drawn: cancel payments first"
    assert refusal(a_put(version=6, unconditional="24.99"), known) == ("unconditional", told)


def test_conditional_funds_stand_in_for_nothing_that_was_drawn() -> None:
    put = a_put(version=6, unconditional=0, conditional=1000)
    assert refusal(put, a_wallet(10000, drawn=1))[0] == "unconditional"
    assert stated(put, a_wallet()).conditional == 100000


def test_without_a_currency_it_is_the_wallets_and_of_a_new_one_the_companys() -> None:
    in_yen = stated(a_put(unconditional=800, version=6), a_wallet(currency="JPY"))
    new = stated(a_put(unconditional="1.125"), company_currency="KWD")
    assert (in_yen.currency, in_yen.unconditional) == ("JPY", 800)
    assert (new.currency, new.unconditional) == ("KWD", 1125)


def test_the_currency_can_change_unless_payments_are_drawn() -> None:
    assert stated(a_put(currency="USD", version=6), a_wallet()).currency == "USD"
    told = ("currency", "cannot change from EUR: payments are drawn in it")
    assert refusal(a_put(currency="USD", version=6), a_wallet(drawn=1)) == told


@pytest.mark.parametrize("name", ["unconditional", "conditional"])
def test_an_amount_that_does_not_fit_the_currency_is_refused(name: str) -> None:
    assert refusal(a_put(**{name: "0.001"})) == (name, "has more than the 2 decimal digits of EUR")
    assert refusal(a_put(currency="UYW", **{name: "9" * 15})) == (name, "is more UYW than the books can hold")


# The message.


def test_a_wallet_needs_a_name_its_funds_and_a_version_and_no_more() -> None:
    put = parse(WalletPut, {"id": "A", "unconditional": 0, "version": 0})
    assert (put.currency, put.number, put.conditional, put.names()) == (None, None, Decimal(0), (("id", "A"),))


@pytest.mark.parametrize("kind", WALLET_KINDS)
def test_either_name_is_enough_and_a_blank_one_is_none(kind: str) -> None:
    blank = dict.fromkeys(WALLET_KINDS, "")
    put = parse(WalletPut, blank | {kind: "007", "unconditional": 0, "version": 0})
    assert put.names() == ((kind, "007"),)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"number": None}, "message"),
        ({"number": ""}, "message"),
        ({"number": 192}, "number"),
        ({"id": "\x00"}, "id"),
        ({"id": "x" * 256}, "id"),
        ({"unconditional": None}, "unconditional"),
        ({"unconditional": -1}, "unconditional"),
        ({"unconditional": "1e99"}, "unconditional"),
        ({"conditional": True}, "conditional"),
        ({"conditional": "NaN"}, "conditional"),
        ({"currency": "eur"}, "currency"),
        ({"version": None}, "version"),
        ({"version": -1}, "version"),
        ({"version": 2**63}, "version"),
    ],
    ids=str,
)
def test_an_invalid_wallet_is_refused_with_the_field(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        a_put(**changes)
    assert [error["field"] for error in refused.value.errors] == [wrong]
