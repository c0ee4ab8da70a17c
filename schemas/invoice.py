"""`invoice.put.v1`: creates or updates an invoice."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.fields import Date, IntegerId, Name, OneOf, WireModel, at_least_one_of
from schemas.money import Amount, Currency
from schemas.registration import IDENTIFIER_KINDS, Identifier

InvoiceState = Literal["OPEN", "CLOSED", "CANCELLED"]


class Account(WireModel):
    """The account that an invoice belongs to."""

    id: Name | None = None
    number: Name | None = None
    name: Name | None = None


class AccountIdentifier(OneOf):
    """One name of such an account."""

    id: Name | None = None
    number: Name | None = None
    name: Name | None = None


class NamedInvoice(WireModel):
    """What names an invoice: at least one identifier."""

    jobid: IntegerId | None = None
    billcode: Name | None = None
    billnum: Name | None = None
    reference_number: Name | None = None
    back_office_code: Name | None = None
    external_id: Name | None = None

    model_config = ConfigDict(json_schema_extra=at_least_one_of(*IDENTIFIER_KINDS))

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not self.identifiers():
            raise ValueError(f"needs at least one of {', '.join(IDENTIFIER_KINDS)}")
        return self

    def identifiers(self) -> tuple[Identifier, ...]:
        """Return the identifiers given, in the order in which they are looked up."""
        given = ((kind, getattr(self, kind)) for kind in IDENTIFIER_KINDS)
        return tuple(Identifier(kind, str(value)) for kind, value in given if value is not None)


class InvoicePut(NamedInvoice):
    """An invoice as its owner states it. The amounts are what is owed before any payment registered here."""

    account: Account | None = None
    currency: Currency | None = Field(
        default=None, description="Where absent, that of the invoice; of a new one, the company's."
    )
    capital: Amount = Field(description="Capital owed.")
    interest: Amount = Field(default=Decimal(0), description="Interest owed.")
    noticefee: Amount = Field(default=Decimal(0), description="Notice fees owed.")
    state: InvoiceState = "OPEN"
    due_date: Date | None = None
    version: IntegerId = Field(description="Grows with every statement of this invoice; an older one is ignored.")
