import pytest

from schemas import catalog


@pytest.mark.parametrize("name", ["a", "0", "acme", "acme-2", "a-", "a" * 63])
def test_a_company_is_lower_case_letters_digits_and_hyphens(name: str) -> None:
    assert catalog.is_company(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "Acme", "a.b", "a_b", "a b", "a\n", "ä", "a" * 64, "#", "*", "٣"], ids=ascii
)
def test_no_other_name_is_a_company(name: str) -> None:
    assert not catalog.is_company(name)


def test_routing_keys_name_the_topic_the_company_and_the_status() -> None:
    assert catalog.routing_key("ropo.payment.v1", "acme") == "registration.acme"
    assert catalog.routing_key("invoice.put.v1", "acme") == "invoice.acme"
    assert catalog.outcome_key("acme", "ROPO_REFUND") == "outcome.acme.ropo_refund"
