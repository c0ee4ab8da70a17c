import pytest

from schemas.orders import AllocationOrder
from tests.builders import a_policy
from worker.domain.allocation import Components, allocate, pro_rata

OPEN = Components(capital=500, interest=200, noticefee=100)


@pytest.mark.parametrize(
    ("order", "amount", "focused"),
    [
        # The amount pays the first component whole and 30 of the second.
        ("noticefee-interest-capital", 130, Components(noticefee=100, interest=30)),
        ("noticefee-capital-interest", 130, Components(noticefee=100, capital=30)),
        ("interest-capital-noticefee", 230, Components(interest=200, capital=30)),
        ("interest-noticefee-capital", 230, Components(interest=200, noticefee=30)),
        ("capital-interest-noticefee", 530, Components(capital=500, interest=30)),
        # ... and two of them whole and 1 of the last.
        ("noticefee-interest-capital", 301, Components(1, 200, 100)),
        ("noticefee-capital-interest", 601, Components(500, 1, 100)),
        ("interest-capital-noticefee", 701, Components(500, 200, 1)),
        ("interest-noticefee-capital", 301, Components(1, 200, 100)),
        ("capital-interest-noticefee", 701, Components(500, 200, 1)),
        ("pro-rata", 80, Components(50, 20, 10)),
        ("pro-rata", 81, Components(51, 20, 10)),  # 50.625, 20.25 and 10.125
        ("pro-rata", 799, Components(499, 200, 100)),  # 499.375, 199.75 and 99.875
    ],
)
def test_each_order_pays_the_components_as_its_name_says(order: str, amount: int, focused: Components) -> None:
    assert allocate(amount, OPEN, AllocationOrder(order)) == focused


@pytest.mark.parametrize("order", AllocationOrder)
def test_in_any_order_the_exact_amount_pays_all_and_more_pays_no_more(order: AllocationOrder) -> None:
    assert allocate(800, OPEN, order) == OPEN
    assert allocate(10**15, OPEN, order) == OPEN


@pytest.mark.parametrize("order", AllocationOrder)
def test_in_any_order_nothing_is_allocated_of_nothing_or_to_nothing(order: AllocationOrder) -> None:
    assert allocate(0, OPEN, order) == Components(0, 0, 0)
    assert allocate(100, Components(0, 0, 0), order) == Components(0, 0, 0)


@pytest.mark.parametrize("order", AllocationOrder)
def test_in_any_order_the_one_open_component_gets_all(order: AllocationOrder) -> None:
    for index, name in enumerate(Components._fields):
        open_amounts = Components(**{name: 300})
        assert allocate(120, open_amounts, order)[index] == 120


def test_pro_rata_strands_nothing_where_flooring_would() -> None:
    """The trap: giving each its floored share and the rest to the last, who cannot take it, strands 1 of 6."""
    assert pro_rata(6, (3, 3, 1)) == (3, 2, 1)  # 2.57, 2.57 and 0.86


def test_pro_rata_gives_what_is_left_to_the_largest_remainders() -> None:
    assert pro_rata(10, (1, 5, 8)) == (1, 3, 6)  # 0.71, 3.57 and 5.71


def test_pro_rata_gives_equal_remainders_to_the_earlier_part() -> None:
    assert pro_rata(1, (1, 1, 1)) == (1, 0, 0)
    assert pro_rata(2, (1, 1, 1)) == (1, 1, 0)
    assert pro_rata(3, (2, 2, 2)) == (1, 1, 1)


def test_pro_rata_of_no_weights_is_nothing() -> None:
    assert pro_rata(5, (0, 0, 0)) == (0, 0, 0)


def test_pro_rata_is_exact_where_a_float_is_not() -> None:
    assert pro_rata(10**18 + 1, (10**18, 10**18, 10**18)) == (
        333333333333333334,
        333333333333333334,
        333333333333333333,
    )


def test_components_add_and_subtract_one_by_one() -> None:
    assert OPEN.plus(Components(1, 2, 3)) == Components(501, 202, 103)
    assert OPEN.minus(Components(1, 2, 3)) == Components(499, 198, 97)
    assert OPEN.total == 800


def test_the_companys_default_is_costs_interest_principal() -> None:
    assert a_policy().order_for(None) is AllocationOrder.NOTICEFEE_INTEREST_CAPITAL
    assert a_policy().order_for("transfer") is AllocationOrder.NOTICEFEE_INTEREST_CAPITAL


def test_the_companys_own_default_holds_for_every_type_without_a_preset() -> None:
    policy = a_policy(allocation=AllocationOrder.PRO_RATA)
    assert policy.order_for(None) is AllocationOrder.PRO_RATA
    assert policy.order_for("transfer") is AllocationOrder.PRO_RATA


def test_a_direct_payment_goes_to_the_capital_first_whatever_the_default() -> None:
    policy = a_policy(allocation=AllocationOrder.PRO_RATA)
    assert policy.order_for("directpayment") is AllocationOrder.CAPITAL_INTEREST_NOTICEFEE


def test_what_the_company_says_of_a_type_goes_before_the_preset() -> None:
    orders = {
        "directpayment": AllocationOrder.INTEREST_CAPITAL_NOTICEFEE,
        "loan": AllocationOrder.NOTICEFEE_CAPITAL_INTEREST,
    }
    policy = a_policy(allocation_for=orders)
    assert policy.order_for("directpayment") is AllocationOrder.INTEREST_CAPITAL_NOTICEFEE
    assert policy.order_for("loan") is AllocationOrder.NOTICEFEE_CAPITAL_INTEREST
    assert policy.order_for("Loan") is AllocationOrder.NOTICEFEE_INTEREST_CAPITAL
