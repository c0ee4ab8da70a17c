"""How an amount is allocated to capital, interest and notice fees. All amounts are minor units."""

from typing import NamedTuple, Self

from schemas.orders import AllocationOrder


class Components(NamedTuple):
    """An amount for each component of an invoice."""

    capital: int = 0
    interest: int = 0
    noticefee: int = 0

    @property
    def total(self) -> int:
        return self.capital + self.interest + self.noticefee

    def plus(self, other: Self) -> "Components":
        return Components(
            self.capital + other.capital, self.interest + other.interest, self.noticefee + other.noticefee
        )

    def minus(self, other: Self) -> "Components":
        return Components(
            self.capital - other.capital, self.interest - other.interest, self.noticefee - other.noticefee
        )


NOTHING = Components()

_IN_ORDER = {
    order: tuple(map(Components._fields.index, order.split("-")))
    for order in AllocationOrder
    if order is not AllocationOrder.PRO_RATA
}
"""Of each order the positions of the components."""


def allocate(amount: int, open_amounts: Components, order: AllocationOrder) -> Components:
    """Return what of the amount goes to each component: never more than is open on it, and never less than fits.

    The total is min(amount, what is open). Both must not be negative.
    """
    left = min(amount, open_amounts.total)
    if order is AllocationOrder.PRO_RATA:
        return Components(*pro_rata(left, open_amounts))
    focused = [0, 0, 0]
    for component in _IN_ORDER[order]:
        focused[component] = min(left, open_amounts[component])
        left -= focused[component]
    return Components(*focused)


def pro_rata(amount: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return the amount split in proportion to the weights, by largest remainder.

    Nothing is stranded and, as long as the amount is no more than the weights' sum, no part exceeds its weight.
    Equal remainders go to the earlier part, so the result depends on nothing but the arguments.
    """
    total = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return tuple(parts)
