import pytest

from schemas.invoice import InvoiceState
from schemas.registration import AccountKind, AccountName, Identifier
from tests.builders import BILLCODE, BILLNUM, an_invoice
from worker.domain.allocation import NOTHING, Components

ALL = Components(500, 200, 100)


@pytest.mark.parametrize(
    ("stated_state", "allocated", "state"),
    [
        ("OPEN", NOTHING, "OPEN"),
        ("OPEN", Components(499, 200, 100), "OPEN"),
        ("OPEN", ALL, "CLOSED"),
        ("CLOSED", NOTHING, "CLOSED"),
        ("CANCELLED", NOTHING, "CANCELLED"),
        ("CANCELLED", ALL, "CANCELLED"),
    ],
)
def test_an_invoice_is_closed_where_its_owner_says_so_or_nothing_is_open(
    stated_state: InvoiceState, allocated: Components, state: InvoiceState
) -> None:
    assert an_invoice(*ALL, allocated=allocated, state=stated_state).state == state


def test_what_is_booked_is_allocated_component_by_component() -> None:
    invoice = an_invoice(*ALL, allocated=Components(10, 20, 30))
    assert invoice.booked(Components(1, 2, 3)) == an_invoice(*ALL, allocated=Components(11, 22, 33))
    assert invoice.booked(Components(1, 2, 3)).open == Components(489, 178, 67)


def test_a_counter_entry_takes_the_allocation_back_and_nothing_else() -> None:
    invoice = an_invoice(*ALL, allocated=ALL)
    assert invoice.booked(Components(-1, -2, -3)) == an_invoice(*ALL, allocated=Components(499, 198, 97))
    assert invoice.booked(NOTHING.minus(ALL)) == an_invoice(*ALL)


@pytest.mark.parametrize(
    ("stated_state", "allocation", "after"),
    [
        ("CLOSED", Components(-1), "OPEN"),
        ("CLOSED", Components(interest=-1), "OPEN"),
        ("CLOSED", Components(noticefee=-1), "OPEN"),
        ("CLOSED", NOTHING, "CLOSED"),
        ("CLOSED", Components(1), "CLOSED"),
        ("CANCELLED", Components(-1), "CANCELLED"),
        ("OPEN", Components(-1), "OPEN"),
    ],
)
def test_only_a_counter_entry_opens_again_what_its_owner_closed(
    stated_state: InvoiceState, allocation: Components, after: InvoiceState
) -> None:
    invoice = an_invoice(*ALL, allocated=Components(100, 100, 50), state=stated_state)
    assert invoice.booked(allocation).stated_state == after


@pytest.mark.parametrize("kind", ["id", "number", "name"])
def test_an_invoice_belongs_to_an_account_by_each_of_its_names(kind: AccountKind) -> None:
    accounts = [AccountName("id", "A"), AccountName("number", "B"), AccountName("name", "C")]
    (own,) = (account for account in accounts if account.kind == kind)
    assert an_invoice(accounts=accounts).belongs_to(own)
    for value in ("A", "B", "C", "", own.value.lower()):
        assert an_invoice(accounts=accounts).belongs_to(AccountName(kind, value)) == (value == own.value)


def test_an_invoice_whose_account_is_unknown_belongs_to_none() -> None:
    assert not an_invoice().belongs_to(AccountName("id", "A"))
    assert not an_invoice(accounts=[AccountName("number", "A")]).belongs_to(AccountName("id", "A"))


def test_an_invoice_has_the_identifiers_it_was_stated_with() -> None:
    invoice = an_invoice(names=[BILLCODE])
    assert invoice.has(BILLCODE)
    assert not invoice.has(BILLNUM)
    assert not invoice.has(Identifier("billnum", BILLCODE.value))
