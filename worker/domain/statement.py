"""What an owner's statement of an invoice does to the books. A statement never undoes a booking."""

from collections.abc import Sequence

from schemas.invalid import InvalidMessageError, invalid
from schemas.invoice import InvoicePut
from schemas.money import to_minor
from schemas.value import Value
from worker.domain.allocation import Components
from worker.domain.errors import RefusedError
from worker.domain.invoice import Invoice


class Statement(Value, frozen=True):
    """A statement that is to be written down. invoice_id is None for an invoice that is new."""

    company: str
    invoice_id: int | None
    put: InvoicePut
    currency: str
    stated: Components


def state(put: InvoicePut, company: str, company_currency: str, known: Sequence[Invoice]) -> Statement | None:
    """Return what to write; None for a statement that is late or has come twice.

    known: the company's invoices that go by any of the identifiers given.
    Raises RefusedError where the identifiers belong to several invoices, an amount does not fit the currency, less is
    stated than has been allocated, or the currency changes under a booking.
    """
    if len({invoice.id for invoice in known}) > 1:
        raise RefusedError.invalid(invalid("message", "has identifiers of several invoices").errors)
    invoice = known[0] if known else None
    if invoice is not None and put.version <= invoice.version:
        return None
    currency = put.currency or (invoice.currency if invoice is not None else company_currency)
    try:
        stated = Components(
            to_minor(put.capital, currency, "capital"),
            to_minor(put.interest, currency, "interest"),
            to_minor(put.noticefee, currency, "noticefee"),
        )
        if invoice is not None and invoice.allocated.total:
            _check_allocated(invoice, stated, currency)
    except InvalidMessageError as error:
        raise RefusedError.invalid(error.errors) from None
    return Statement(company, invoice.id if invoice is not None else None, put, currency, stated)


def _check_allocated(invoice: Invoice, stated: Components, currency: str) -> None:
    if currency != invoice.currency:
        raise invalid("currency", f"cannot change from {invoice.currency}: payments are booked in it")
    for name, amount in stated._asdict().items():
        if amount < getattr(invoice.allocated, name):
            raise invalid(name, "is less than what is already allocated: cancel payments first")
