"""A wallet as the books hold it, and what its owner's statement of it does. A statement never undoes a payment."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from schemas.invalid import InvalidMessageError, invalid
from schemas.money import to_minor
from schemas.registration import WalletKind
from schemas.value import Value
from schemas.wallet import WalletPut
from worker.domain.errors import RefusedError


class Wallet(Value, frozen=True, kw_only=True):
    """A row of the wallets. Amounts are minor units of its currency."""

    id: int
    company: str
    names: Mapping[WalletKind, str]
    currency: str
    version: int
    unconditional: int
    conditional: int
    drawn: int
    """What payments have taken of the unconditional funds, less what cancellations gave back."""

    @property
    def available(self) -> int:
        """What a payment may still draw: unconditional − drawn."""
        return self.unconditional - self.drawn

    def drawn_by(self, amount_minor: int) -> "Wallet":
        """Return the wallet after a payment drew that much; below zero where a cancellation gives it back."""
        return replace(self, drawn=self.drawn + amount_minor)


class WalletStatement(Value, frozen=True, kw_only=True):
    """A statement that is to be written down. wallet_id is None for a wallet that is new."""

    company: str
    wallet_id: int | None
    names: Mapping[WalletKind, str]
    """All that the wallet has from now on: a name that the statement leaves out stays as it was."""
    currency: str
    version: int
    unconditional: int
    conditional: int


def state_wallet(
    put: WalletPut, company: str, company_currency: str, known: Sequence[Wallet]
) -> WalletStatement | None:
    """Return what to write; None for a statement that is late or has come twice.

    known: the company's wallets that go by any of the names given.
    Raises RefusedError where the names belong to several wallets, an amount does not fit the currency, less is stated
    than payments have drawn, or the currency changes under them.
    """
    if len({wallet.id for wallet in known}) > 1:
        raise RefusedError.invalid(invalid("message", "has names of several wallets").errors)
    wallet = known[0] if known else None
    if wallet is not None and put.version <= wallet.version:
        return None
    currency = put.currency or (wallet.currency if wallet is not None else company_currency)
    try:
        unconditional = to_minor(put.unconditional, currency, "unconditional")
        conditional = to_minor(put.conditional, currency, "conditional")
        if wallet is not None and wallet.drawn:
            _check_drawn(wallet, unconditional, currency)
    except InvalidMessageError as error:
        raise RefusedError.invalid(error.errors) from None
    return WalletStatement(
        company=company,
        wallet_id=wallet.id if wallet is not None else None,
        names={**(wallet.names if wallet is not None else {}), **dict(put.names())},
        currency=currency,
        version=put.version,
        unconditional=unconditional,
        conditional=conditional,
    )


def _check_drawn(wallet: Wallet, unconditional: int, currency: str) -> None:
    if currency != wallet.currency:
        raise invalid("currency", f"cannot change from {wallet.currency}: payments are drawn in it")
    if unconditional < wallet.drawn:
        raise invalid("unconditional", "is less than what is already drawn: cancel payments first")
