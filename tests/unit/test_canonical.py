from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.codec import parse, read_json
from schemas.invalid import InvalidMessageError
from schemas.limits import DETAILS_MAX, LINES_MAX
from schemas.orders import AllocationOrder, Distribution
from schemas.registration import IDENTIFIER_KINDS, AccountName, Identifier, Line, Registration, WalletName
from schemas.sources import SOURCES
from schemas.sources.canonical import CANONICAL, PaymentRegister, to_registration
from tests.builders import DEFAULTS, Books, a_registration, a_request, an_invalid_request, an_invoice

EXAMPLES = Path(schemas.__file__).parent / "examples" / CANONICAL.message_type
LEAST: Mapping[str, Any] = {"paydate": "2017-10-10", "lines": [{"billcode": "1234567", "amount": "710.00"}]}
FIRST, SECOND, THIRD = ({"billcode": name} for name in ("1234567", "1234568", "1234569"))


def meaning(raw: object) -> Registration:
    return to_registration(parse(PaymentRegister, raw), DEFAULTS)


def example(name: str) -> Registration:
    return meaning(read_json((EXAMPLES / f"{name}.json").read_bytes()))


def read(**changes: Any) -> Registration:
    return meaning({**LEAST, **changes})


def read_line(**said: Any) -> Line:
    (line,) = read(lines=[{"amount": "710.00", **said}]).lines
    return line


def refusal(**changes: Any) -> str:
    with pytest.raises(InvalidMessageError) as refused:
        read(**changes)
    return str(refused.value)


def told_errors(**changes: Any) -> set[str]:
    with pytest.raises(InvalidMessageError) as refused:
        read(**changes)
    return {error["field"] for error in refused.value.errors}


def answer(books: Books, registration: Registration) -> dict[str, Any]:
    outcome: Any = read_json(books.settle_one(a_request(registration, source=CANONICAL)).body)
    response: dict[str, Any] = outcome["response"]
    return response


def test_a_line_with_an_amount_and_a_day_are_enough() -> None:
    assert example("minimal") == a_registration(source="payment.register.v1", states_currency=False)
    assert example("blank-fields") == example("minimal")


def test_every_field_reaches_the_registration() -> None:
    assert example("complete") == Registration(
        source="payment.register.v1",
        currency="EUR",
        paydate=date(2017, 10, 10),
        lines=(
            Line(
                identifiers=(
                    Identifier("billcode", "1234567"),
                    Identifier("jobid", "4711"),
                    Identifier("billnum", "R1234567"),
                    Identifier("reference_number", "2022"),
                    Identifier("back_office_code", "BO-16"),
                    Identifier("external_id", "EXT-16"),
                ),
                amount_minor=71000,
                references={"creditnote": "26251", "debitnote": "26252"},
            ),
            Line(identifiers=(Identifier("billcode", "1234568"),), amount_minor=None),
        ),
        total_minor=100000,
        payment_type="directpayment",
        method="Bank transfer",
        account=AccountName("number", "192"),
        wallet=WalletName("id", "W-1"),
        surcharge_minor=150,
        refuses_overpayment=True,
        allocation=AllocationOrder.CAPITAL_INTEREST_NOTICEFEE,
        distribution=Distribution.HIGHEST_AMOUNT,
        details={"batch": "77", "clerk": "mkoskinen", "description": "Ohisuoritus, Järvinen Äijö 💶"},
    )


def test_the_lines_are_required() -> None:
    assert refusal(lines=None) == "lines Field required"


def test_without_a_day_it_is_the_day_of_its_processing() -> None:
    without = read(paydate=None)
    assert (without.paydate, without.states_paydate) == (DEFAULTS.today, False)
    assert example("without-paydate") == without


def test_there_is_at_least_one_line_and_there_are_not_too_many() -> None:
    assert told_errors(lines=[]) == {"lines"}
    line = {"jobid": 1, "amount": 1}
    assert len(read(lines=[line] * LINES_MAX).lines) == LINES_MAX
    assert told_errors(lines=[line] * (LINES_MAX + 1)) == {"lines"}


@pytest.mark.parametrize("kind", IDENTIFIER_KINDS)
def test_each_name_of_an_invoice_is_enough(kind: str) -> None:
    assert read_line(**{kind: "42"}).identifiers == ((kind, "42"),)


def test_a_line_without_any_name_is_refused() -> None:
    said = [FIRST | {"amount": 1}, {"amount": 1, "billnum": ""}]
    assert refusal(lines=said).startswith("lines.1 needs at least one of billcode, jobid, billnum, ")


def test_references_are_texts_by_name_and_blank_ones_are_not_given() -> None:
    said = {"creditnote": "26251", "debitnote": "", "note": None}
    assert read_line(jobid=1, references=said).references == {"creditnote": "26251"}


@pytest.mark.parametrize("field", ["lines.0.references", "details"])
@pytest.mark.parametrize(
    "wrong",
    [
        "26251",
        ["26251"],
        {"n": 26251},
        {"n": False},
        {"n": ["26251"]},
        {"": "x"},
        {"n" * 256: "x"},
        {"n": "x" * 4001},
        {"n": "a\x00b"},
        {"a\ud800": "x"},
        {str(number): "" for number in range(DETAILS_MAX + 1)},
    ],
)
def test_texts_that_are_no_texts_are_refused_and_their_names_told_nowhere(field: str, wrong: object) -> None:
    changes = {"details": wrong} if field == "details" else {"lines": [FIRST | {"amount": 1, "references": wrong}]}
    assert told_errors(**changes) == {field}


def test_as_many_details_as_allowed_are_kept() -> None:
    most = {str(number): "x" for number in range(DETAILS_MAX)}
    assert read(details=most).details == most


def test_an_amount_is_in_the_currency_that_is_given_or_else_the_companys() -> None:
    assert (read().currency, read().states_currency) == ("EUR", False)
    registration = read(currency="JPY", lines=[FIRST | {"amount": 710}])
    assert (registration.currency, registration.states_currency) == ("JPY", True)
    assert registration.lines[0].amount_minor == 710


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": [FIRST | {"amount": 1}, SECOND | {"amount": "0.001"}]}, "lines.1.amount"),
        ({"lines": [FIRST], "amount": "0.001"}, "amount"),
        ({"surcharge": {"amount": "0.001"}}, "surcharge.amount"),
    ],
)
def test_more_digits_than_the_currency_has_are_refused_by_name(changes: dict[str, Any], field: str) -> None:
    assert refusal(**changes) == f"{field} has more than the 2 decimal digits of EUR"


@pytest.mark.parametrize("wrong", ["ALL", "", " all", True, ["all"], -1])
def test_a_line_pays_an_amount_or_all_and_nothing_else(wrong: object) -> None:
    assert told_errors(lines=[FIRST | {"amount": wrong}]) == {"lines.0.amount"}


def test_all_that_is_open_may_stand_beside_an_amount_for_another_invoice() -> None:
    registration = example("all")
    assert [line.amount_minor for line in registration.lines] == [None, 2550]
    assert registration.total_minor is None
    assert registration.known_amount_minor is None


def test_lines_without_an_amount_share_what_the_others_leave_of_the_total() -> None:
    registration = example("shared-amount")
    assert [line.amount_minor for line in registration.lines] == [71000, None, None]
    assert registration.total_minor == registration.known_amount_minor == 100000


def test_a_line_without_an_amount_needs_a_total_to_share() -> None:
    text = "is needed where the payment has no amount to share"
    said = [FIRST | {"amount": 1}, SECOND, THIRD | {"amount": ""}]
    assert refusal(lines=said) == f"lines.1.amount {text}; lines.2.amount {text}"


def test_all_that_is_open_may_not_stand_beside_a_total() -> None:
    said = [FIRST, SECOND | {"amount": "all"}]
    assert refusal(lines=said, amount=1) == "lines.1.amount must not be all where the payment has an amount"


def test_a_total_beside_amounts_on_every_line_is_their_sum_and_says_nothing_new() -> None:
    said = [FIRST | {"amount": "0.10"}, SECOND | {"amount": "0.20"}]
    assert read(lines=said, amount="0.30") == read(lines=said)
    for wrong in ("0.29", "0.31"):
        assert refusal(lines=said, amount=wrong) == "amount is not the sum of what the lines name"


def test_named_amounts_may_use_up_the_total_but_not_exceed_it() -> None:
    said = [FIRST | {"amount": "710.00"}, SECOND]
    assert read(lines=said, amount=710).total_minor == 71000
    assert refusal(lines=said, amount="709.99") == "amount is less than the lines name"


@pytest.mark.parametrize("field", ["id", "number", "name"])
def test_an_account_has_one_name(field: str) -> None:
    assert read(account={field: "192"}).account == (field, "192")
    assert refusal(account={}) == refusal(account=dict.fromkeys(["id", "number"], "1"))
    assert told_errors(account={}) == {"account"}


@pytest.mark.parametrize("field", ["id", "number"])
def test_a_wallet_has_one_name(field: str) -> None:
    assert read(wallet={field: "W-1"}).wallet == (field, "W-1")
    assert refusal(wallet={"name": "W-1"}) == "wallet needs exactly one of id, number"


def test_what_settles_is_money_a_write_off_or_a_wallet() -> None:
    assert [example(name).settled_by for name in ("minimal", "write-off", "wallet")] == ["money", "write_off", "wallet"]
    assert read(settled_by="money") == read(settled_by=None) == read()
    refused = refusal(settled_by="write_off", wallet={"id": "W-1"})
    assert refused == "settled_by must not be write_off where a wallet pays"


def test_a_surcharge_is_an_amount_or_a_percentage() -> None:
    assert read(surcharge={"amount": "1.50"}).surcharge_minor == 150
    assert read(surcharge={"percent": "1.5"}).surcharge_percent == Decimal("1.5")
    assert (read(surcharge={"amount": 0}).surcharge_minor, read().surcharge_percent) == (0, None)
    assert refusal(surcharge={"amount": 1, "percent": 1}) == "surcharge needs exactly one of amount, percent"
    assert told_errors(surcharge={"percent": 101}) == {"surcharge.percent"}


@pytest.mark.parametrize(
    ("lines", "amount", "surcharge"),
    [
        ([FIRST | {"amount": "400.00"}, SECOND], 1000, "100.00"),
        ([FIRST | {"amount": 10}, SECOND | {"amount": 20}], None, "3.00"),
        ([FIRST | {"amount": "all"}, SECOND | {"amount": 20}], None, "73.00"),
    ],
)
def test_a_percentage_is_of_the_whole_amount_whatever_that_comes_to(
    lines: list[dict[str, Any]], amount: object, surcharge: str
) -> None:
    books = Books(an_invoice(), an_invoice(60000, number=2, names=[Identifier("billcode", "1234568")]))
    registration = read(lines=lines, amount=amount, surcharge={"percent": 10})
    outcome: Any = read_json(books.settle_one(a_request(registration, source=CANONICAL)).body)
    assert outcome["surcharge"] == surcharge


def test_a_payment_may_come_as_cancelled() -> None:
    assert example("cancelled") == read(status="CANCELLED")
    assert (read().is_cancelled, read(status="FINAL").is_cancelled, read(status="CANCELLED").is_cancelled) == (
        False,
        False,
        True,
    )


@pytest.mark.parametrize("order", AllocationOrder)
def test_each_allocation_order_can_be_asked_for(order: AllocationOrder) -> None:
    assert read(allocation=order.value).allocation is order


@pytest.mark.parametrize("distribution", Distribution)
def test_each_distribution_can_be_asked_for(distribution: Distribution) -> None:
    assert read(distribution=distribution.value).distribution is distribution


def test_orders_that_are_not_asked_for_are_the_companys() -> None:
    assert (read().allocation, read().distribution) == (None, None)


@pytest.mark.parametrize(("overpayment", "refuses"), [("reject", True), ("keep", False), (None, False)])
def test_to_keep_an_overpayment_is_the_companys_choice_to_refuse_one_the_senders(
    overpayment: str | None, *, refuses: bool
) -> None:
    assert read(overpayment=overpayment).refuses_overpayment is refuses


@pytest.mark.parametrize("field", ["settled_by", "status", "allocation", "distribution", "overpayment", "currency"])
@pytest.mark.parametrize("wrong", ["nonsense", 1, True, [], {}, "a\ud800"])
def test_a_word_that_means_nothing_is_refused_by_name(field: str, wrong: object) -> None:
    assert told_errors(**{field: wrong}) == {field}


def test_a_description_is_one_of_the_details_and_stands_there_once() -> None:
    assert read(description="Paid", details={"batch": "77"}).details == {"batch": "77", "description": "Paid"}
    assert read(details={"description": "Paid"}) == read(description="Paid", details={"description": ""})
    refused = refusal(description="Paid", details={"description": "Paid"})
    assert refused == "details must not hold a description beside the field of that name"


def test_unknown_fields_are_ignored() -> None:
    assert read(token="x", lines=[{"billcode": "1234567", "amount": "710.00", "token": "x"}]) == read()


def test_every_contradiction_is_told_at_once() -> None:
    assert told_errors(
        lines=[FIRST, SECOND | {"amount": "all"}],
        surcharge={"percent": 1},
        wallet={"id": "W-1"},
        settled_by="write_off",
        description="Paid",
        details={"description": "Paid"},
    ) == {"lines.0.amount", "settled_by", "details"}


def test_a_booked_payment_is_answered_line_by_line_in_json_numbers() -> None:
    names = (Identifier("billcode", "1234567"), Identifier("jobid", "4711"), Identifier("billnum", "R1234567"))
    books = Books(
        an_invoice(50000, 20000, 1000, names=names),
        an_invoice(10000, number=2, names=[Identifier("billcode", "1234568")]),
    )
    registration = read(lines=[FIRST | {"amount": "720.00"}, SECOND | {"amount": "25.50"}])
    assert answer(books, registration) == {
        "statusid": 6,
        "status": "OHISPAY",
        "reason": "booked",
        "statustext": "The payment has been booked",
        "payment_id": 1,
        "amount": Decimal("745.50"),
        "currency": "EUR",
        "unfocused": Decimal("10.00"),
        "settled_by": "money",
        "lines": [
            {
                "jobid": 4711,
                "billnum": "R1234567",
                "billcode": "1234567",
                "amount": Decimal("720.00"),
                "focusedtocapital": Decimal("500.00"),
                "focusedtointerest": Decimal("200.00"),
                "focusedtonoticefee": Decimal("10.00"),
                "unfocused": Decimal("10.00"),
                "invoicestate": "CLOSED",
            },
            {
                "jobid": None,
                "billnum": None,
                "billcode": "1234568",
                "amount": Decimal("25.50"),
                "focusedtocapital": Decimal("25.50"),
                "focusedtointerest": Decimal("0.00"),
                "focusedtonoticefee": Decimal("0.00"),
                "unfocused": Decimal("0.00"),
                "invoicestate": "OPEN",
            },
        ],
    }


def test_a_refused_payment_is_answered_with_the_reason_and_its_lines() -> None:
    refused = answer(Books(), read())
    assert (refused["statusid"], refused["status"], refused["reason"]) == (10, "NOT_FOUND", "invoice_not_found")
    (line,) = refused["lines"]
    assert (line["billcode"], line["focusedtocapital"], line["invoicestate"]) == ("1234567", 0, None)


def test_an_invalid_payment_is_answered_without_lines() -> None:
    outcome: Any = read_json(Books().settle_one(an_invalid_request(source=CANONICAL)).body)
    refused = outcome["response"]
    assert (refused["statusid"], refused["reason"], refused["lines"]) == (1, "invalid", [])
    assert refused["statustext"] == "amount must be a finite number"


def test_its_key_is_in_no_field_of_the_body() -> None:
    assert CANONICAL.key_field is None
    assert SOURCES["payment.register.v1"] is CANONICAL


def test_it_can_say_what_the_source_systems_say() -> None:
    """Invisible Collector's published payment: one debt on two lines, the second pointing at a credit note."""
    assert example("several-lines").lines == (
        Line(identifiers=(Identifier("billnum", "FT TEST/001"),), amount_minor=1075),
        Line(
            identifiers=(Identifier("billnum", "FT TEST/001"),),
            amount_minor=2000,
            references={"creditnote": "NC NC/001"},
        ),
    )
    assert example("surcharge-percent").surcharge_percent == 10
