"""The golden outcomes of schemas/examples: the worker answers the published messages with them, byte for byte."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

import schemas
from schemas.codec import encode
from schemas.outcome import OUTCOME_TYPE
from schemas.registration import WalletName
from tests.builders import Books, a_put
from worker.domain.allocation import NOTHING
from worker.domain.invoice import Invoice
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request, read_statement
from worker.domain.settlement import Settled
from worker.domain.statement import state
from worker.domain.view import Held
from worker.domain.wallet import Wallet

EXAMPLES = Path(schemas.__file__).parent / "examples"
POLICY = Policy(company="acme", currency="EUR")
KEY = "bank-2017-10-10-0001"


class Case(NamedTuple):
    """What is to be answered: a message, what is owed and held as it was put, and the day."""

    message: str | Mapping[str, object]
    """An example, or the body of a Ropo payment."""
    invoices: tuple[Mapping[str, object], ...] = ()
    today: date = date(2018, 7, 25)
    payment_id: int = 1
    policy: Policy = POLICY
    cancels: str | None = None
    """The example of the payment that is booked before, under the key that the message names."""
    wallet: str | None = None


def example(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return read


JOB = example("invoice.put.v1/published-job")
FEES = example("invoice.put.v1/published-job-with-fees")
ROPO = "ropo.payment.v1/published"
IVVY = "ivvy.add-payment.v1/published"
TWO_LINES = "invisible-collector.payment.v1/published"
DEBT = {"billnum": "FT TEST/001", "capital": "30.75"}
CRM = "crm-com.pay-invoice.v1"
REGISTER = "payment.register.v1"
BROKEN = {"amount": "0.001", "billcode": "1234567", "paydate": "2017-10-10"}
WALLET = "W0000007376"

ANSWERED = {
    "ropo-published-1.1": Case(ROPO, (JOB,)),
    "ropo-overpaid-1.1": Case(ROPO, (FEES,)),
    "ropo-not-found-1.1": Case(ROPO),
    "ropo-not-due-1.1": Case(ROPO, (JOB,), today=date(2017, 10, 9)),
    "ropo-invalid-1.1": Case(BROKEN),
    "ropo-tolerated": Case(ROPO, ({**JOB, "capital": "710.40"},), policy=replace(POLICY, tolerance_minor=50)),
    "ivvy-published": Case(IVVY, ({"jobid": 156, "capital": "225.00"},), payment_id=5452),
    "ivvy-overpaid": Case(IVVY, ({"jobid": 156, "capital": "9.99"},)),
    "ivvy-not-found": Case(IVVY),
    "ivvy-write-off": Case("ivvy.add-payment.v1/write-off", ({"jobid": 156, "capital": "225.00"},)),
    "invisible-collector-published": Case(TWO_LINES, (DEBT,)),
    "invisible-collector-cancelled": Case("invisible-collector.payment.v1/cancelled", (DEBT,)),
    "invisible-collector-not-found": Case(TWO_LINES),
    "crm-com-published-account-number": Case(
        f"{CRM}/published-account-number",
        ({"reference_number": "328", "account": {"number": "192"}, "capital": "200", "interest": "25"},),
    ),
    "crm-com-published-fields-set": Case(
        f"{CRM}/published-fields-set",
        ({"reference_number": "2023", "account": {"name": "Järvinen Oy"}, "capital": "225"},),
    ),
    "crm-com-published-wallet": Case(
        f"{CRM}/published-wallet", ({"external_id": "54F3A49F23024C51AFF21B7C728F3549", "capital": "5"},), wallet=WALLET
    ),
    "crm-com-gateway": Case(f"{CRM}/card", ({"back_office_code": "BO-17", "capital": "5"},)),
    "register-shared-amount": Case(
        f"{REGISTER}/shared-amount",
        (JOB, {"billcode": "1234568", "capital": "300"}, {"billcode": "1234569", "capital": "290"}),
    ),
    "register-all": Case(f"{REGISTER}/all", (FEES, {"jobid": 4712, "capital": "100"})),
    "cancel-done": Case("payment.cancel.v1/minimal", (FEES,), cancels=ROPO),
    "cancel-not-found": Case("payment.cancel.v1/minimal", (FEES,)),
}
"""Outcomes as the worker composes them today. Should an outcome gain a field, a new example takes the old one's place
here; the old file stays, since what is published must go on being an outcome."""


def in_the_books(number: int, body: Mapping[str, object]) -> Invoice:
    message = Message(routing_key="invoice.acme", body=encode({"version": 1, **body}))
    put = read_statement(message, POLICY)
    assert isinstance(put, type(a_put()))
    statement = state(put, "acme", "EUR", [])
    assert statement is not None
    account = put.account
    return Invoice(
        id=number,
        company=statement.company,
        identifiers=dict(put.identifiers()),
        currency=statement.currency,
        stated_state=put.state,
        version=put.version,
        stated=statement.stated,
        allocated=NOTHING,
        account_number=account.number if account is not None else None,
        account_name=account.name if account is not None else None,
    )


def request(message: str | Mapping[str, object], today: date, key: str) -> Request:
    """The message as it comes, or Ropo's where only a body is given. A key that the message itself has comes first."""
    message_type, body = (message.partition("/")[0], example(message)) if isinstance(message, str) else (None, message)
    content = (EXAMPLES / f"{message}.json").read_bytes() if isinstance(message, str) else encode(body)
    return read_request(
        Message(routing_key="registration.acme", body=content, type=message_type, message_id=key), POLICY, today
    )


def answer(case: Case) -> Settled:
    books = Books(*(in_the_books(*each) for each in enumerate(case.invoices, 1)), policies=[case.policy])
    if case.wallet is not None:
        funds = {"unconditional": 1000, "conditional": 0, "drawn": 0}
        wallet = Wallet(id=1, company="acme", names={"number": case.wallet}, currency="EUR", version=1, **funds)
        books.view.wallets = {1: wallet}
        books.view.wallets_named = {("acme", WalletName("number", case.wallet)): 1}
    now = datetime(case.today.year, case.today.month, case.today.day, 12, tzinfo=UTC)
    if case.cancels is not None:
        books.settle_one(request(case.cancels, case.today, KEY), now)
    asked = request(case.message, case.today, KEY if case.cancels is None else "cancel-1")
    books.view.held[asked.identity] = Held(payment_id=case.payment_id + (case.cancels is not None))
    return books.settle_one(asked, now)


@pytest.mark.parametrize("name", ANSWERED)
def test_the_worker_answers_an_example_with_the_golden_outcome_byte_for_byte(name: str) -> None:
    assert answer(ANSWERED[name]).body == (EXAMPLES / OUTCOME_TYPE / f"{name}.json").read_bytes()


def response(name: str) -> dict[str, Any]:
    told: dict[str, Any] = example(f"{OUTCOME_TYPE}/{name}")["response"]
    return told


def test_the_published_ropo_answer_is_given() -> None:
    outcome = example(f"{OUTCOME_TYPE}/ropo-published-1.1")
    assert (outcome["statusid"], outcome["status"]) == (6, "OHISPAY")
    assert outcome["response"] == {
        "jobid": 4711,
        "billnum": "R1234567",
        "billcode": "1234567",
        "paydate": "2017-10-10",
        "amount": 710.00,
        "capitalbefore": 710.00,
        "capitalafter": 0.00,
        "focusedtocapital": 710.00,
        "interestbefore": 0.00,
        "interestafter": 0.00,
        "focusedtointerest": 0.00,
        "noticefeebefore": 0.00,
        "noticefeeafter": 0.00,
        "focusedtonoticefee": 0.00,
        "unfocused": 0.00,
        "statusid": 6,
        "statustext": "Capital kirjattu",
    }


def test_the_published_ivvy_answer_is_given() -> None:
    assert response("ivvy-published") == {"Success": True, "Id": 5452}
    assert example(f"{OUTCOME_TYPE}/ivvy-published")["surcharge"] == "1.00"
    assert [response(name)["ErrorCode"] for name in ("ivvy-overpaid", "ivvy-not-found")] == [24239, 24238]
    assert example(f"{OUTCOME_TYPE}/ivvy-write-off")["settled_by"] == "write_off"


def test_invisible_collectors_published_payment_is_answered_as_it_holds_it() -> None:
    assert response("invisible-collector-published") == example(TWO_LINES)
    assert [line["amount"] for line in example(f"{OUTCOME_TYPE}/invisible-collector-published")["lines"]] == [
        "10.75",
        "20.00",
    ]
    assert response("invisible-collector-not-found")["code"] == 404
    assert response("invisible-collector-cancelled")["status"] == "CANCELLED"


def test_the_published_crm_com_answers_are_given() -> None:
    whole, chosen, wallet = (
        response(f"crm-com-published-{name}") for name in ("account-number", "fields-set", "wallet")
    )
    assert whole["status"] == {"code": "OK", "description": "", "message": ""}
    assert (whole["data"]["payment_amount"], whole["data"]["life_cycle_state"]) == (225, "POSTED")
    assert set(chosen["data"]) == {"number", "reference_number", "id", "issued_on", "payment_amount"}
    assert wallet["data"]["payment_amount"] == 5
    assert response("crm-com-gateway")["status"]["code"] == "GATEWAY_CHARGE_UNSUPPORTED"


def test_a_cancellation_tells_what_was_reversed() -> None:
    told = example(f"{OUTCOME_TYPE}/cancel-done")
    assert (told["statusid"], told["amount"], told["cancels"]["idempotency_key"]) == (11, "-710.00", KEY)
