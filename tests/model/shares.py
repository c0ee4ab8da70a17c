"""The model's arithmetic: what a payment puts on each of its invoices."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from tests.model.asked import COMPONENTS, NOTHING, Amounts, Name, Part, Pay, Rules, minus, total


@dataclass
class Invoice:
    currency: str
    version: int
    stated: Amounts
    state: str
    due: date | None
    entries: list[Amounts] = field(default_factory=list)
    """All that payments and cancellations put on it."""

    @property
    def owed(self) -> Amounts:
        return minus(self.stated, total(self.entries))

    @property
    def is_closed(self) -> bool:
        return self.state == "CLOSED" or (self.state == "OPEN" and self.owed == NOTHING)


def is_closed(pay: Pay, invoices: Mapping[Name, Invoice]) -> bool:
    """Say whether an invoice was closed before. Of those that share the total, one that is open is enough."""
    named = [invoices[line.invoice].is_closed for line in pay.lines if line.amount is not None]
    shared = [invoices[line.invoice].is_closed for line in pay.lines if line.amount is None]
    return any(named) or (bool(shared) and all(shared))


def book(pay: Pay, rules: Rules, invoices: Mapping[Name, Invoice]) -> tuple[Part, ...]:
    """Return what each line puts on its invoice, one after the other."""
    order = "capital-interest-noticefee" if pay.type == "directpayment" else rules.order
    owed = {line.invoice: invoices[line.invoice].owed for line in pay.lines}
    parts = []
    for line, amount in zip(pay.lines, amounts_of_lines(pay, invoices), strict=True):
        focused = pour(amount, owed[line.invoice], order)
        owed[line.invoice] = minus(owed[line.invoice], focused)
        parts.append(Part(line.invoice, amount, focused))
    if not pay.is_write_off and (pay.currency or rules.currency) == rules.currency:
        for name, rest in owed.items():
            last = max(index for index, part in enumerate(parts) if part.invoice == name)
            paid = sum(sum(part.focused) for part in parts if part.invoice == name)
            if paid and tolerates(rules, sum(rest), sum(invoices[name].owed)):
                parts[last] = replace(parts[last], written_off=rest)
    return tuple(parts)


def amounts_of_lines(pay: Pay, invoices: Mapping[Name, Invoice]) -> list[int]:
    """Return what each line pays: what it names, all that is open, or its share, the oldest due first."""
    left: dict[Name, int] = {}
    for line in pay.lines:
        invoice = invoices[line.invoice]
        left[line.invoice] = 0 if invoice.is_closed else sum(invoice.owed)
    amounts = [0] * len(pay.lines)
    for index, line in enumerate(pay.lines):
        if line.amount is not None:
            amounts[index] = left[line.invoice] if line.amount == "all" else line.amount
            left[line.invoice] -= min(amounts[index], left[line.invoice])
    sharers = [index for index, line in enumerate(pay.lines) if line.amount is None]
    sharers.sort(key=lambda index: invoices[pay.lines[index].invoice].due or date.max)
    rest = (pay.total or 0) - sum(amounts)
    for index in sharers:
        name = pay.lines[index].invoice
        amounts[index] = min(rest, left[name])
        left[name] -= amounts[index]
        rest -= amounts[index]
    if sharers:
        # What is too much stays with the last that was paid anything.
        paid = [index for index in sharers if amounts[index]] or sharers
        amounts[paid[-1]] += rest
    return amounts


def pour(amount: int, owed: Amounts, order: str) -> Amounts:
    """Return how much of the amount goes to each component as they are filled one after the other."""
    filled = dict.fromkeys(COMPONENTS, 0)
    for component in order.split("-"):
        filled[component] = min(amount, owed[COMPONENTS.index(component)])
        amount -= filled[component]
    return filled["capital"], filled["interest"], filled["noticefee"]


def tolerates(rules: Rules, rest: int, owed: int) -> bool:
    """Say whether so small a rest of what was owed is written off: within all limits that are set, at least one."""
    within = []
    if rules.tolerance is not None:
        within.append(rest <= rules.tolerance)
    if rules.tolerance_percent is not None:
        within.append(100 * rest <= rules.tolerance_percent * owed)
    return bool(within) and all(within)
