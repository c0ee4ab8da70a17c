"""Which invoice a line means."""

from collections.abc import Container, Mapping
from enum import Enum, auto

from schemas.registration import Identifier
from schemas.value import Value
from worker.domain.invoice import Invoice
from worker.domain.policy import IdentifierRule


class Mismatch(Enum):
    """Why a line means no invoice."""

    NOT_FOUND = auto()
    FOREIGN = auto()
    """No invoice of the company, but one of another's."""
    DISAGREE = auto()
    """The company asks that all identifiers agree, and they do not."""


class Shelf(Value, frozen=True):
    """The invoices of one company, as far as a batch asks for them."""

    invoices: Mapping[Identifier, Invoice]
    foreign: Container[Identifier] = ()
    """Identifiers that no invoice of the company has, but one of another company."""


def match(identifiers: tuple[Identifier, ...], shelf: Shelf, rule: IdentifierRule) -> Invoice | Mismatch:
    """Return the invoice that the identifiers name under the company's rule, or why there is none."""
    found = [shelf.invoices.get(identifier) for identifier in identifiers]
    first = next((invoice for invoice in found if invoice is not None), None)
    if first is None:
        return (
            Mismatch.FOREIGN if any(identifier in shelf.foreign for identifier in identifiers) else Mismatch.NOT_FOUND
        )
    if rule is IdentifierRule.ALL and not all(first.has(identifier) for identifier in identifiers):
        return Mismatch.DISAGREE
    return first
