"""Every status and every reason is reached through the broker, from every source that can reach it.

WAYS is the table: what is to become of a payment, and what brings that about. The README shows which source reaches
which, and tests/unit/test_readme.py compares it with what stands here.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import date
from typing import Any

import pytest

from schemas.outcome import Status
from schemas.sources import SOURCES
from tests.integration.company import OPEN, Company, found
from tests.integration.dialects import (
    CANCEL,
    CANONICAL,
    CRM_COM,
    INVISIBLE_COLLECTOR,
    IVVY,
    PAYMENT_TYPE,
    PAYMENTS,
    ROPO,
    Body,
    answer,
)
from tests.site import Site
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Treatment
from worker.domain.verdict import Reason

Step = Callable[[Company], Awaitable[object]]


@dataclass(frozen=True)
class Way:
    """How a reason is reached: by what a payment says, under which policy, of which invoice, after what."""

    status: Status
    reason: str
    _: KW_ONLY
    name: str = ""
    """Tells two ways to the same reason apart."""
    says: Mapping[str, Any] = field(default_factory=dict)
    """Amount and date, where they matter, in whatever words the source has for them."""
    adds: Callable[[Company], Mapping[str, Body]] = lambda _: {}
    """By source, what its body says besides."""
    rules: Mapping[str, Any] = field(default_factory=dict)
    invoice: Body | None = field(default_factory=dict)
    """What is not as in OPEN; None for no invoice."""
    is_foreign: bool = False
    first: tuple[Step, ...] = ()
    key: str = "payment"
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Source → why it cannot get there."""


def line(**fields: object) -> Callable[[Company], Mapping[str, Body]]:
    """Have the canonical payment's one line say something else of its invoice."""
    plain = {"amount": "100.00"}
    return lambda company: {CANONICAL: {"lines": [{"billcode": company.names()["billcode"]} | plain | fields]}}


def from_wallet(company: Company) -> Mapping[str, Body]:
    wallet = {"number": company.wallet}
    return {CRM_COM: {"wallet_identifier": wallet}, CANONICAL: {"wallet": wallet}}


def many_lines(company: Company) -> Mapping[str, Body]:
    names = company.names()
    return {
        INVISIBLE_COLLECTOR: {"lines": [{"number": names["billnum"], "amount": "0.01"}] * 150},
        CANONICAL: {"lines": [{"billcode": names["billcode"], "amount": "0.01"}] * 150},
    }


ONE_LINE = dict.fromkeys((ROPO, IVVY, CRM_COM), "names one invoice, whose names alone cannot be that long")
NO_ACCOUNT = dict.fromkeys((ROPO, IVVY, INVISIBLE_COLLECTOR), "names no account")
NO_WALLET = dict.fromkeys((ROPO, IVVY, INVISIBLE_COLLECTOR), "names no wallet")
IN_BOUNDS = dict.fromkeys((ROPO, IVVY, INVISIBLE_COLLECTOR), "names its amounts; what is too large is invalid already")
ALL_OPEN = {CRM_COM: "names no amount: it pays what is open"}
ONE_NAME = {
    IVVY: "names an invoice by its id alone",
    INVISIBLE_COLLECTOR: "names a debt by its number alone",
    CRM_COM: "gives one identifier",
}
NOT_CANCELLED = dict.fromkeys((ROPO, IVVY, CRM_COM), "has no status")

TWIN: tuple[Step, ...] = (
    lambda company: company.pay("twin"),
    # Stated anew at twice as much, so that the very same amount is open again.
    lambda company: company.put(capital="160.00", interest="30.00", noticefee="10.00", version=2),
)

WAYS = (
    Way(Status.UNDONE, "invoice_awaited", rules={"await_invoice_s": 3600}, invoice=None),
    Way(Status.UNDONE, "paydate_in_future", says={"paydate": "2999-01-01"}),
    Way(Status.FAIL, "invalid", says={"paydate": "2017-02-29"}),
    Way(Status.FAIL, "idempotency_conflict", first=(lambda company: company.pay(paydate="2017-10-09"),)),
    Way(Status.FAIL, "wrong_currency", invoice={"currency": "USD"}),
    Way(Status.FAIL, "gateway_charge_unsupported", rules={"gateways": frozenset({PAYMENT_TYPE})}),
    Way(
        Status.FAIL,
        "overpayment",
        says={"amount": "100.01"},
        rules={"overpayment": Overpayment.REJECT},
        cannot=ALL_OPEN,
    ),
    Way(
        Status.FAIL,
        "identifiers_disagree",
        adds=lambda company: {ROPO: {"billnum": "another"}, **line(billnum="another")(company)},
        rules={"identifiers": IdentifierRule.ALL},
        cannot=ONE_NAME,
    ),
    Way(
        Status.FAIL,
        "invoice_of_another_account",
        adds=lambda _: {
            CRM_COM: {"accounts_receivable_identifier": {"number": "192"}},
            CANONICAL: {"account": {"number": "192"}},
        },
        invoice={"account": {"number": "193"}},
        cannot=NO_ACCOUNT,
    ),
    Way(Status.FAIL, "wallet_not_found", adds=from_wallet, cannot=NO_WALLET),
    Way(
        Status.FAIL,
        "wallet_funds_insufficient",
        adds=from_wallet,
        first=(lambda company: company.fund(unconditional="99.99", conditional="100.00"),),
        cannot=NO_WALLET,
    ),
    Way(
        Status.FAIL,
        "amount_too_large",
        adds=line(amount="all"),
        rules={"currency": "CLF"},  # four decimal digits: three such amounts are more than a bigint holds
        invoice=dict.fromkeys(OPEN, "900000000000000"),
        cannot=IN_BOUNDS,
    ),
    Way(
        Status.FAIL,
        "outcome_too_large",
        adds=many_lines,
        # Names that take six bytes for each character, told with every line.
        invoice=dict.fromkeys(("reference_number", "back_office_code", "external_id"), "\1" * 255),
        cannot=ONE_LINE,
    ),
    Way(Status.OLD, "period_closed", rules={"books_closed_until": date(2017, 10, 10)}),
    Way(Status.OLD, "duplicate", rules={"duplicates": DuplicateCheck.REJECT}, first=TWIN),
    Way(Status.ROPO, "type_settlement", rules={"treat": {PAYMENT_TYPE: Treatment.ROPO}}),
    Way(Status.ROPO_REFUND, "type_settlement_refund", rules={"treat": {PAYMENT_TYPE: Treatment.ROPO_REFUND}}),
    Way(Status.CLOSE, "invoice_closed", invoice={"state": "CLOSED"}),
    Way(Status.OHISPAY, "booked"),
    Way(Status.OHISPAY, "booked_possible_duplicate", rules={"duplicates": DuplicateCheck.FLAG}, first=TWIN),
    Way(Status.IGNORE, "type_muted", rules={"treat": {PAYMENT_TYPE: Treatment.IGNORE}}),
    Way(Status.IGNORE, "amount_zero", says={"amount": "0.00"}, cannot=ALL_OPEN),
    Way(Status.DIFFCID, "invoice_of_another_company", is_foreign=True),
    Way(Status.NOT_FOUND, "invoice_not_found", invoice=None),
    Way(Status.CANCELLED, "invoice_cancelled", invoice={"state": "CANCELLED"}),
    Way(
        Status.CANCELLED,
        "payment_cancelled",
        name="before it came",
        first=(lambda company: company.cancel(),),
    ),
    Way(
        Status.CANCELLED,
        "payment_cancelled",
        name="as it came",
        adds=lambda _: {source: {"status": "CANCELLED"} for source in (INVISIBLE_COLLECTOR, CANONICAL)},
        cannot=NOT_CANCELLED,
    ),
)
"""Of payments."""

PAY: Step = lambda company: company.pay()  # noqa: E731 (a step among others)
CANCELLATION_WAYS = (
    Way(Status.FAIL, "invalid", adds=lambda _: {CANCEL: {"payment": ""}}),
    Way(Status.FAIL, "idempotency_conflict", first=(PAY,), key="payment"),
    Way(
        Status.FAIL,
        "payment_is_cancellation",
        first=(PAY, lambda company: company.cancel(key="first")),
        adds=lambda company: {CANCEL: {"payment": company.key("first")}},
        key="second",
    ),
    Way(
        Status.DIFFCID,
        "payment_of_another_company",
        first=(lambda company: company.pay(payer="other"),),
        key="cancellation",
    ),
    Way(Status.NOT_FOUND, "payment_not_found", key="cancellation"),
    Way(Status.CANCELLED, "cancelled", first=(PAY,), key="cancellation"),
    Way(Status.CANCELLED, "already_cancelled", first=(PAY, lambda company: company.cancel(key="first")), key="second"),
    Way(
        Status.CANCELLED,
        "payment_not_booked",
        first=(lambda company: company.pay(amount="0.00"),),
        key="cancellation",
    ),
)
"""Of cancellations of a payment."""
CANCELLATIONS_CANNOT = {
    Status.UNDONE: "it waits for nothing: a payment that has not come yet is marked and not booked when it comes",
    Status.OLD: "a closed period and the duplicate check are about payments",
    Status.ROPO: "it has no payment type",
    Status.ROPO_REFUND: "it has no payment type",
    Status.CLOSE: "it opens a closed invoice again",
    Status.OHISPAY: "done, it says CANCELLED",
    Status.IGNORE: "it has neither amount nor type",
}


@dataclass(frozen=True)
class Case:
    source: str
    way: Way

    def __str__(self) -> str:
        return " ".join(filter(None, (self.source, self.way.reason, self.way.name)))

    async def prepare(self, company: Company) -> None:
        if self.way.invoice is not None:
            await company.put(owner="other" if self.way.is_foreign else None, **self.way.invoice)
        for step in self.way.first:
            await step(company)

    def body(self, company: Company) -> Body:
        adds = self.way.adds(company).get(self.source, {})
        if self.source == CANCEL:
            return {"payment": company.key("payment")} | adds
        return company.says(self.way.key, **self.way.says) | adds


CASES = [
    *(Case(source, way) for way in WAYS for source in PAYMENTS if source not in way.cannot),
    *(Case(CANCEL, way) for way in CANCELLATION_WAYS),
]
REACHED = {(case.way.status, case.way.reason, case.source) for case in CASES}
"""Which source reaches which status, and why."""


def focused(outcome: Body) -> tuple[str, ...]:
    return tuple(outcome[f"focusedto{part}"] for part in OPEN)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_source_is_told_what_became_of_its_message_and_why(shared_site: Site, case: Case) -> None:
    # What a cancellation cancels, or not, is a Ropo payment.
    company = await found(shared_site, ROPO if case.source == CANCEL else case.source, **case.way.rules)
    await case.prepare(company)
    entries = await shared_site.database.fetchval("SELECT count(*) FROM allocations")
    body = case.body(company)
    event = await company.send(case.way.key, case.source, body)

    outcome = event.body
    assert (outcome["statusid"], outcome["status"]) == (case.way.status.value, case.way.status.name)
    assert (outcome["reason"], outcome["source"]) == (case.way.reason, case.source)
    assert event.message.routing_key == f"outcome.{company.name}.{case.way.status.name.lower()}"
    assert event.message.headers["statusid"] == case.way.status.value
    assert event.message.headers["source-type"] == case.source
    assert not event.replayed
    assert outcome["response"] == answer(outcome, body)
    written = await shared_site.database.fetchval("SELECT count(*) FROM allocations") - entries
    if case.way.status is Status.OHISPAY:
        assert focused(outcome) == ("80.00", "15.00", "5.00")
        assert (outcome["amount"], outcome["unfocused"], written) == ("100.00", "0.00", 1)
    elif case.way.reason == Reason.CANCELLED:
        assert focused(outcome) == ("-80.00", "-15.00", "-5.00")
        assert (outcome["amount"], outcome["unfocused"], written) == ("-100.00", "0.00", 1)
    else:
        assert {float(amount) for amount in focused(outcome)} == {0}
        assert [outcome[f"{part}before"] for part in OPEN] == [outcome[f"{part}after"] for part in OPEN]
        assert (outcome["unfocused"], written) == (outcome["amount"], 0)


def test_every_source_reaches_every_status_unless_it_is_said_why_not() -> None:
    reached = {(source, status) for status, _, source in REACHED}
    assert reached == {(source, status) for source in SOURCES for status in Status} - {
        (CANCEL, status) for status in CANCELLATIONS_CANNOT
    }


def test_every_reason_is_reached_and_by_every_source_unless_it_is_said_why_not() -> None:
    assert {reason for _, reason, _ in REACHED} == set(Reason)
    for way in WAYS:
        reaching = {case.source for case in CASES if case.way is way}
        assert (reaching | way.cannot.keys(), reaching & way.cannot.keys()) == ({*PAYMENTS}, set())
