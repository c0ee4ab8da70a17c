import pytest

from schemas.registration import Identifier
from tests.builders import BILLCODE, BILLNUM, an_invoice
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch, Shelf, match
from worker.domain.policy import IdentifierRule

FIRST, ALL = IdentifierRule.FIRST, IdentifierRule.ALL
OTHER = Identifier("billcode", "other")
UNKNOWN = Identifier("jobid", "404")


def shelf(*invoices: Invoice, foreign: tuple[Identifier, ...] = ()) -> Shelf:
    named = {Identifier(kind, value): invoice for invoice in invoices for kind, value in invoice.identifiers.items()}
    return Shelf(named, frozenset(foreign))


ONE = an_invoice(number=1)
TWO = an_invoice(number=2, names=[OTHER])


def test_the_first_identifier_that_matches_names_the_invoice() -> None:
    books = shelf(ONE, TWO)
    assert match((OTHER, BILLNUM), books, FIRST) is TWO
    assert match((BILLNUM, OTHER), books, FIRST) is ONE
    assert match((UNKNOWN, BILLNUM), books, FIRST) is ONE


def test_where_all_must_agree_identifiers_of_two_invoices_do_not() -> None:
    assert match((BILLNUM, OTHER), shelf(ONE, TWO), ALL) is Mismatch.DISAGREE


def test_where_all_must_agree_an_unknown_identifier_does_not() -> None:
    assert match((BILLNUM, UNKNOWN), shelf(ONE), ALL) is Mismatch.DISAGREE
    assert match((UNKNOWN, BILLNUM), shelf(ONE), ALL) is Mismatch.DISAGREE


def test_where_all_must_agree_and_do_the_invoice_is_found() -> None:
    assert match((BILLCODE, BILLNUM), shelf(ONE, TWO), ALL) is ONE
    assert match((BILLCODE,), shelf(ONE), ALL) is ONE


@pytest.mark.parametrize("rule", IdentifierRule)
def test_an_invoice_of_another_company_alone_is_foreign(rule: IdentifierRule) -> None:
    assert match((BILLCODE, UNKNOWN), shelf(foreign=(UNKNOWN,)), rule) is Mismatch.FOREIGN
    assert match((BILLCODE, UNKNOWN), shelf(foreign=(BILLCODE,)), rule) is Mismatch.FOREIGN


@pytest.mark.parametrize("rule", IdentifierRule)
def test_without_any_invoice_nothing_is_found(rule: IdentifierRule) -> None:
    assert match((BILLCODE, UNKNOWN), shelf(TWO, foreign=(BILLNUM,)), rule) is Mismatch.NOT_FOUND


def test_the_companys_own_invoice_goes_before_anothers() -> None:
    assert match((UNKNOWN, BILLCODE), shelf(ONE, foreign=(UNKNOWN,)), FIRST) is ONE


def test_the_same_value_under_another_kind_is_another_name() -> None:
    assert match((Identifier("billnum", BILLCODE.value),), shelf(ONE), FIRST) is Mismatch.NOT_FOUND
