"""`wallet.put.v1`: creates or updates a wallet, the funds that a company holds for one of its customers."""

from decimal import Decimal
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from schemas.fields import IntegerId, Name, OneOf, WireModel, at_least_one_of
from schemas.money import Amount, Currency
from schemas.registration import WALLET_KINDS, WalletName


class WalletIdentifier(OneOf):
    """One name of a wallet."""

    id: Name | None = None
    number: Name | None = None


class WalletPut(WireModel):
    """A wallet as its owner states it. The funds are what it holds before any payment registered here."""

    id: Name | None = None
    number: Name | None = None
    currency: Currency | None = Field(
        default=None, description="Where absent, the wallet's; of a new wallet, the company's."
    )
    unconditional: Amount = Field(description="Funds that may pay any invoice.")
    conditional: Amount = Field(default=Decimal(0), description="Funds bound to a condition: they pay no invoice.")
    version: IntegerId = Field(description="Grows with every statement of this wallet; an older one is ignored.")

    model_config = ConfigDict(json_schema_extra=at_least_one_of(*WALLET_KINDS))

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not self.names():
            raise ValueError(f"needs at least one of {', '.join(WALLET_KINDS)}")
        return self

    def names(self) -> tuple[WalletName, ...]:
        """Return the names given, in the fixed order of their kinds."""
        given = ((kind, getattr(self, kind)) for kind in WALLET_KINDS)
        return tuple(WalletName(kind, value) for kind, value in given if value is not None)
