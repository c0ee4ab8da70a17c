"""Where several rules apply, the first of them decides; and what each is called."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import combinations

import pytest

from schemas.invoice import InvoiceState
from schemas.limits import AMOUNT_MINOR_MAX
from schemas.registration import AccountName, WalletName
from tests.builders import TODAY, a_line, a_policy, a_registration, a_wallet, an_invoice
from tests.unit.decisions import judge
from worker.domain.matching import Mismatch
from worker.domain.policy import DuplicateCheck, Overpayment, Treatment
from worker.domain.verdict import Reason, Twin, Verdict
from worker.domain.wallet import Wallet

TOMORROW = TODAY + timedelta(days=1)
TWIN = Twin(invoice_id=1, paydate=TODAY, amount_minor=71000, payment_type=None)
W1 = WalletName("number", "W1")
CANCELLATIONS_ALONE = {
    Reason.CANCELLED,
    Reason.ALREADY_CANCELLED,
    Reason.PAYMENT_NOT_BOOKED,
    Reason.PAYMENT_NOT_FOUND,
    Reason.PAYMENT_OF_ANOTHER_COMPANY,
    Reason.PAYMENT_IS_CANCELLATION,
}


@dataclass
class Situation:
    amount: int = 71000
    payment_type: str | None = None
    paydate: date = TODAY
    closed_until: date | None = None
    treat: dict[str, Treatment] = field(default_factory=dict)
    mismatch: Mismatch | None = None
    currency: str = "EUR"
    state: InvoiceState = "OPEN"
    capital: int = 71000
    duplicates: DuplicateCheck = DuplicateCheck.OFF
    overpayment: Overpayment = Overpayment.KEEP
    is_cancelled: bool = False
    account: AccountName | None = None
    charges_gateway: bool = False
    wallet_name: WalletName | None = None
    wallet: Wallet | None = None

    def verdict(self) -> Verdict:
        policy = a_policy(
            treat=self.treat,
            books_closed_until=self.closed_until,
            duplicates=self.duplicates,
            overpayment=self.overpayment,
        )
        invoice = an_invoice(self.capital, currency=self.currency, state=self.state)
        registration = a_registration(
            a_line(self.amount),
            payment_type=self.payment_type,
            paydate=self.paydate,
            account=self.account,
            charges_gateway=self.charges_gateway,
            wallet=self.wallet_name,
        )
        twin = Twin(1, self.paydate, self.amount, self.payment_type)
        return judge(
            registration,
            [self.mismatch or invoice],
            policy,
            is_cancelled=self.is_cancelled,
            twins=frozenset({twin}),
            wallet=self.wallet,
        )


Rule = tuple[Reason, Callable[[Situation], Situation]]
UNSEEN: list[Rule] = [
    (Reason.PAYMENT_CANCELLED, lambda s: replace(s, is_cancelled=True)),
    (Reason.AMOUNT_ZERO, lambda s: replace(s, amount=0)),
    (Reason.TYPE_MUTED, lambda s: replace(s, payment_type="muted", treat={"muted": Treatment.IGNORE})),
    (Reason.GATEWAY_CHARGE_UNSUPPORTED, lambda s: replace(s, charges_gateway=True)),
    (Reason.PERIOD_CLOSED, lambda s: replace(s, closed_until=TOMORROW)),
    (Reason.PAYDATE_IN_FUTURE, lambda s: replace(s, paydate=TOMORROW)),
]
UNFOUND: list[Rule] = [(Reason.INVOICE_NOT_FOUND, lambda s: replace(s, mismatch=Mismatch.NOT_FOUND))]
FOUND: list[Rule] = [
    (Reason.INVOICE_OF_ANOTHER_ACCOUNT, lambda s: replace(s, account=AccountName("id", "another"))),
    (Reason.WRONG_CURRENCY, lambda s: replace(s, currency="USD")),
    (Reason.INVOICE_CANCELLED, lambda s: replace(s, state="CANCELLED")),
    (Reason.WALLET_NOT_FOUND, lambda s: replace(s, wallet_name=W1, wallet=None)),
    (Reason.DUPLICATE, lambda s: replace(s, duplicates=DuplicateCheck.REJECT)),
    (Reason.INVOICE_CLOSED, lambda s: replace(s, capital=0)),
    (Reason.OVERPAYMENT, lambda s: replace(s, capital=min(s.capital, 1000), overpayment=Overpayment.REJECT)),
    (Reason.AMOUNT_TOO_LARGE, lambda s: replace(s, amount=AMOUNT_MINOR_MAX + 1, capital=AMOUNT_MINOR_MAX + 1)),
    (Reason.WALLET_FUNDS_INSUFFICIENT, lambda s: replace(s, wallet_name=W1, wallet=a_wallet(0))),
]
PAIRS = [*combinations(UNSEEN + UNFOUND, 2), *combinations(UNSEEN + FOUND, 2)]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{first[0]} before {second[0]}" for first, second in PAIRS])
def test_of_two_rules_that_apply_the_earlier_decides(first: Rule, second: Rule) -> None:
    assert first[1](Situation()).verdict().reason is first[0]
    if first[0] is not Reason.AMOUNT_ZERO:
        assert second[1](Situation()).verdict().reason is second[0]
    assert first[1](second[1](Situation())).verdict().reason is first[0]


def test_every_reason_that_can_be_decided_here_is_reached_by_a_test_above() -> None:
    """Two are decided before: what cannot be read, and a key that is taken; one after: what is too long to be told.

    Six are told of cancellations alone.
    """
    decided_before = {Reason.INVALID, Reason.IDEMPOTENCY_CONFLICT, Reason.OUTCOME_TOO_LARGE}
    by_match = {
        judge(matches=[mismatch], may_await=may_await).reason for mismatch in Mismatch for may_await in (True, False)
    }
    by_type = {
        judge(a_registration(payment_type="x"), policy=a_policy(treat={"x": treatment})).reason
        for treatment in Treatment
    }
    by_twin = {judge(policy=a_policy(duplicates=check), twins=frozenset({TWIN})).reason for check in DuplicateCheck}
    by_rule = {reason for reason, _ in UNSEEN + UNFOUND + FOUND}
    reached = by_match | by_type | by_twin | by_rule
    assert decided_before | CANCELLATIONS_ALONE | reached == set(Reason)
    assert not reached & (decided_before | CANCELLATIONS_ALONE)


def test_the_reasons_are_words_that_downstream_relies_on() -> None:
    assert {reason.value for reason in Reason} == {
        "booked",
        "booked_possible_duplicate",
        "invalid",
        "idempotency_conflict",
        "amount_zero",
        "type_muted",
        "type_settlement",
        "type_settlement_refund",
        "period_closed",
        "paydate_in_future",
        "invoice_awaited",
        "invoice_not_found",
        "invoice_of_another_company",
        "identifiers_disagree",
        "wrong_currency",
        "invoice_cancelled",
        "invoice_closed",
        "duplicate",
        "overpayment",
        "amount_too_large",
        "outcome_too_large",
        "invoice_of_another_account",
        "wallet_not_found",
        "wallet_funds_insufficient",
        "gateway_charge_unsupported",
        "payment_cancelled",
        "cancelled",
        "already_cancelled",
        "payment_not_booked",
        "payment_not_found",
        "payment_of_another_company",
        "payment_is_cancellation",
    }


TEXTS: list[tuple[Verdict, str]] = [
    (judge(), "The payment has been booked"),
    (
        judge(policy=a_policy(duplicates=DuplicateCheck.FLAG), twins=frozenset({TWIN})),
        "The payment has been booked; it may be a duplicate",
    ),
    (
        judge(policy=a_policy(duplicates=DuplicateCheck.REJECT), twins=frozenset({TWIN})),
        "A payment of this invoice, date, amount and type is booked under another key",
    ),
    (judge(a_registration(a_line(0))), "The amount is zero"),
    (judge(a_registration(paydate=TOMORROW)), "The payment date lies in the future; it is booked on that day"),
    (judge(matches=[Mismatch.NOT_FOUND]), "No invoice under the identifiers given"),
    (judge(matches=[Mismatch.NOT_FOUND], may_await=True), "No such invoice yet; it is awaited"),
    (judge(matches=[Mismatch.FOREIGN]), "The invoice belongs to another company"),
    (judge(matches=[Mismatch.DISAGREE]), "The identifiers do not all name the same invoice"),
    (judge(matches=[an_invoice(state="CANCELLED")]), "The invoice is cancelled"),
    (judge(matches=[an_invoice(state="CLOSED")]), "The invoice is closed"),
    (
        judge(a_registration(a_line(71001), refuses_overpayment=True)),
        "The amount is more than is open on the invoice",
    ),
    (judge(is_cancelled=True), "The payment is cancelled; it has not been booked"),
    (
        judge(a_registration(account=AccountName("id", "another"))),
        "The invoice does not belong to the account given",
    ),
    (
        judge(a_registration(charges_gateway=True)),
        "The payment would be charged through a payment gateway, which is not done here",
    ),
    (judge(a_registration(wallet=W1)), "No wallet of the company under the name given"),
    (
        judge(a_registration(wallet=W1), wallet=a_wallet(currency="USD")),
        "The payment is in EUR, the wallet in USD",
    ),
    (
        judge(a_registration(wallet=W1), wallet=a_wallet(1)),
        "The wallet's unconditional funds are less than the amount",
    ),
    (
        judge(a_registration(a_line(AMOUNT_MINOR_MAX + 1))),
        "The amount is more than the books can hold",
    ),
    *(
        (judge(a_registration(payment_type="x"), policy=a_policy(treat={"x": treatment})), text)
        for treatment, text in (
            (Treatment.ROPO, "The payment runs through the collector's settlement flow"),
            (Treatment.ROPO_REFUND, "The payment is a refund of the collector's settlement flow"),
            (Treatment.IGNORE, "The company leaves payments of this type out"),
        )
    ),
]


@pytest.mark.parametrize(("verdict", "text"), TEXTS, ids=[str(verdict.reason) for verdict, _ in TEXTS])
def test_people_are_told_in_a_sentence(verdict: Verdict, text: str) -> None:
    assert verdict.text == text
