"""A small world of few keys, invoices, wallets and amounts, so that payments meet, conflict and are cancelled."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas.codec import read_json
from schemas.orders import AllocationOrder, Distribution
from schemas.registration import Identifier, Line, Registration, WalletName
from tests.builders import (
    TODAY,
    Books,
    a_cancel,
    a_policy,
    a_registration,
    a_request,
    a_wallet,
    an_invalid_request,
    an_invoice,
)
from worker.domain.allocation import Components
from worker.domain.invoice import Invoice
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Policy, Treatment
from worker.domain.request import Request
from worker.domain.settlement import Settled, Settlement
from worker.domain.wallet import Wallet

COMPANIES = ("acme", "other")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
CURRENCIES = st.sampled_from(["EUR"] * 60 + ["JPY", "KWD"])
NAMES = [(Identifier("billcode", str(number)), Identifier("jobid", str(number))) for number in range(5)]
"""Of the four invoices, and of one that nobody has."""
AMOUNTS = st.integers(0, 30)
STATED = st.integers(0, 60)
COMPONENTS = ("capital", "interest", "noticefee")


@st.composite
def invoices(draw: st.DrawFn, number: int) -> Invoice:
    stated = Components(draw(STATED), draw(STATED), draw(STATED))
    return an_invoice(
        *stated,
        number=number,
        names=NAMES[number],
        allocated=Components(*(draw(st.integers(0, most // 2)) for most in stated)),
        company=COMPANIES[number == 3],
        currency=draw(CURRENCIES),
        state=draw(st.sampled_from(["OPEN"] * 14 + ["CLOSED", "CANCELLED"])),
        due=draw(st.sampled_from([None, YESTERDAY, TODAY, TOMORROW])),
    )


@st.composite
def wallets(draw: st.DrawFn, number: int) -> Wallet:
    unconditional = draw(st.sampled_from([15, 40, 100]))
    drawn, conditional = draw(st.integers(0, unconditional // 2)), draw(AMOUNTS)
    return a_wallet(unconditional, conditional, drawn=drawn, number=number, company=COMPANIES[number])


def policies(company: str) -> st.SearchStrategy[Policy]:
    return st.builds(
        a_policy,
        company=st.just(company),
        allocation=st.sampled_from(AllocationOrder),
        overpayment=st.sampled_from([Overpayment.KEEP, Overpayment.KEEP, Overpayment.REJECT]),
        treat=st.sampled_from([{}, {"odd": Treatment.ROPO}]),
        books_closed_until=st.sampled_from([None, YESTERDAY]),
        duplicates=st.sampled_from(DuplicateCheck),
        await_invoice_s=st.sampled_from([0, 60]),
        hide_foreign=st.booleans(),
        identifiers=st.sampled_from(IdentifierRule),
        distribution=st.sampled_from(Distribution),
        tolerance_minor=st.sampled_from([None, 0, 3, 100]),
        tolerance_percent=st.sampled_from([None, Decimal(10), Decimal(60)]),
        gateways=st.sampled_from([frozenset(), frozenset({"card"})]),
    )


AGREEING = st.sampled_from(NAMES[:3] * 8 + NAMES[3:4] * 2 + NAMES[4:])
DISAGREEING = st.tuples(AGREEING, AGREEING).map(lambda two: (two[0][0], two[1][1]))
WALLET_NAMES = st.sampled_from([WalletName("number", number) for number in ("W0", "W0", "W0", "W1")])
LINE_NAMES = st.integers(0, 14).flatmap(lambda chance: AGREEING if chance else DISAGREEING)


@st.composite
def registrations(draw: st.DrawFn) -> Registration:
    """Lines with amounts, lines that share a total, and lines that pay all; the message's own wishes are rare."""
    amounts = draw(st.sampled_from([AMOUNTS, AMOUNTS, AMOUNTS | st.none()]))
    names = draw(st.lists(LINE_NAMES, min_size=1, max_size=3))
    lines = [Line(identifiers=name, amount_minor=draw(amounts)) for name in names]
    named = sum(line.amount_minor or 0 for line in lines)
    shares = any(line.amount_minor is None for line in lines) and draw(st.booleans())
    settled_by = draw(st.sampled_from(["money"] * 6 + ["write_off", "wallet", "wallet"]))
    return a_registration(
        *lines,
        total_minor=named + draw(AMOUNTS) if shares else None,
        paydate=draw(st.sampled_from([TODAY] * 20 + [YESTERDAY, TOMORROW])),
        payment_type=draw(st.sampled_from([None] * 9 + ["directpayment"] * 9 + ["odd", "card"])),
        currency=draw(CURRENCIES),
        refuses_overpayment=draw(st.sampled_from([False, False, False, True])),
        is_write_off=settled_by == "write_off",
        wallet=draw(WALLET_NAMES) if settled_by == "wallet" else None,
        surcharge_minor=draw(st.sampled_from([0, 0, 7])),
        is_cancelled=draw(st.sampled_from([False] * 20 + [True])),
        allocation=draw(st.none() | st.none() | st.sampled_from(AllocationOrder)),
        distribution=draw(st.none() | st.none() | st.sampled_from(Distribution)),
    )


PAYMENT_KEYS = ["1", "2", "3", "4", "5"]
CANCEL_KEYS = ["c1", "c2", "c3"]
WHOSE = st.sampled_from([COMPANIES[0]] * 7 + [COMPANIES[1]])


@st.composite
def requests(draw: st.DrawFn, asked: Sequence[Registration], before: Sequence[Request]) -> Request:
    """A payment, more of what came before, or a cancellation: mostly of what came before, now and then of anything."""
    kind = draw(st.sampled_from(["register"] * 10 + ["again"] * 3 + ["cancel"] * 5 + ["invalid"]))
    company = draw(WHOSE)
    if before and kind == "again":
        return draw(st.sampled_from(before))
    if before and kind == "cancel" and draw(st.integers(0, 9)):
        payment = draw(st.sampled_from([request for request in before if request.registration] or before))
        return a_cancel(payment.key, draw(st.sampled_from(CANCEL_KEYS)), company=payment.company)
    if kind == "cancel":
        keys = st.sampled_from(PAYMENT_KEYS + CANCEL_KEYS)
        return a_cancel(draw(keys), draw(keys), why=draw(st.sampled_from([None, "x"])), company=company)
    key = draw(st.sampled_from(PAYMENT_KEYS * 5 + CANCEL_KEYS))
    if kind == "invalid":
        return an_invalid_request(key, company=company)
    return a_request(
        draw(st.sampled_from(asked)), key, company=company, reconsidered=draw(st.sampled_from([False] * 7 + [True]))
    )


@dataclass
class World:
    invoices: list[Invoice]
    wallets: list[Wallet]
    policies: list[Policy]
    requests: list[Request]

    def books(self) -> Books:
        return Books(*self.invoices, wallets=self.wallets, policies=self.policies)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    asked = draw(st.lists(registrations(), min_size=1, max_size=5))
    came: list[Request] = []
    for _ in range(draw(st.integers(4, 14))):
        came.append(draw(requests(asked, came)))
    return World(
        [draw(invoices(number)) for number in range(4)],
        [draw(wallets(number)) for number in range(2)],
        [draw(policies(company)) for company in COMPANIES],
        came,
    )


def settled(settlements: Iterable[Settlement]) -> Iterator[Settled]:
    return (item for item in settlements if isinstance(item, Settled))


def told(item: Settled) -> Any:
    return read_json(item.body)
