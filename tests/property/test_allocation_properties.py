from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.orders import AllocationOrder
from worker.domain.allocation import Components, allocate, pro_rata

SMALL = st.integers(0, 12)
LARGE = st.integers(0, 10**18)
COMPONENTS = st.builds(Components, SMALL, SMALL, SMALL) | st.builds(Components, LARGE, LARGE, LARGE)
AMOUNTS = st.integers(0, 40) | st.integers(0, 4 * 10**18)
ORDERS = st.sampled_from(AllocationOrder)
RANKED = st.sampled_from([order for order in AllocationOrder if order is not AllocationOrder.PRO_RATA])


@given(AMOUNTS, COMPONENTS, ORDERS)
def test_all_that_fits_is_allocated_and_no_more(amount: int, open_amounts: Components, order: AllocationOrder) -> None:
    assert allocate(amount, open_amounts, order).total == min(amount, open_amounts.total)


@given(AMOUNTS, COMPONENTS, ORDERS)
def test_no_part_is_negative_or_more_than_is_open(
    amount: int, open_amounts: Components, order: AllocationOrder
) -> None:
    for part, open_part in zip(allocate(amount, open_amounts, order), open_amounts, strict=True):
        assert 0 <= part <= open_part


@given(AMOUNTS, COMPONENTS, RANKED)
def test_a_component_gets_something_only_when_the_one_before_it_is_paid(
    amount: int, open_amounts: Components, order: AllocationOrder
) -> None:
    focused = allocate(amount, open_amounts, order)
    left = open_amounts.minus(focused)
    for earlier, later in pairwise(order.split("-")):
        assert getattr(focused, later) == 0 or getattr(left, earlier) == 0


@given(st.lists(SMALL, min_size=3, max_size=3), COMPONENTS, RANKED)
def test_in_an_order_it_does_not_matter_how_a_sum_is_paid_in_parts(
    amounts: list[int], open_amounts: Components, order: AllocationOrder
) -> None:
    left = open_amounts
    for amount in amounts:
        left = left.minus(allocate(amount, left, order))
    assert left == open_amounts.minus(allocate(sum(amounts), open_amounts, order))


WEIGHTS = st.lists(st.integers(0, 12) | st.integers(0, 10**18), min_size=1, max_size=6).map(tuple)


@st.composite
def split(draw: st.DrawFn) -> tuple[int, tuple[int, ...]]:
    """An amount, and weights that can take it."""
    weights = draw(WEIGHTS)
    return draw(st.integers(0, sum(weights))), weights


@given(split())
def test_pro_rata_strands_nothing(case: tuple[int, tuple[int, ...]]) -> None:
    amount, weights = case
    assert sum(pro_rata(amount, weights)) == amount


@given(split())
def test_pro_rata_gives_each_its_exact_share_rounded_up_or_down(case: tuple[int, tuple[int, ...]]) -> None:
    amount, weights = case
    for part, weight in zip(pro_rata(amount, weights), weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < max(sum(weights), 1)
        assert 0 <= part <= weight


@given(split())
def test_pro_rata_gives_no_less_to_the_larger_part_nor_among_equals_to_the_earlier(
    case: tuple[int, tuple[int, ...]],
) -> None:
    amount, weights = case
    parts = pro_rata(amount, weights)
    for earlier in range(len(weights)):
        for later in range(earlier + 1, len(weights)):
            if weights[earlier] >= weights[later]:
                assert parts[earlier] >= parts[later]
            else:
                assert parts[earlier] <= parts[later]


@given(split())
def test_one_unit_more_takes_at_most_one_from_any_part(case: tuple[int, tuple[int, ...]]) -> None:
    """By largest remainder a part can lose one as the amount grows (the Alabama paradox), and never more."""
    amount, weights = case
    if amount < sum(weights):
        before, after = pro_rata(amount, weights), pro_rata(amount + 1, weights)
        assert all(-1 <= new - old <= 1 for old, new in zip(before, after, strict=True))


@given(split())
def test_pro_rata_pays_the_largest_remainders_first(case: tuple[int, tuple[int, ...]]) -> None:
    amount, weights = case
    total = sum(weights)
    if total:
        remainders = [amount * weight % total for weight in weights]
        floors = [amount * weight // total for weight in weights]
        rounded_up = [part > floor for part, floor in zip(pro_rata(amount, weights), floors, strict=True)]
        up = [remainder for remainder, is_up in zip(remainders, rounded_up, strict=True) if is_up]
        down = [remainder for remainder, is_up in zip(remainders, rounded_up, strict=True) if not is_up]
        assert not up or not down or min(up) >= max(down)
