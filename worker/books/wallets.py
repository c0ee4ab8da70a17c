"""The wallets: found and locked for payments, drawn on, and stated by their owners."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.registration import WALLET_KINDS, WalletKind, WalletName
from schemas.wallet import WalletPut
from worker.books.rows import columns
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.domain.errors import RefusedError
from worker.domain.policy import Policy
from worker.domain.wallet import Wallet, WalletStatement, state_wallet

Put = tuple[Policy, WalletPut]

_COLUMNS: Mapping[WalletKind, str] = {"id": "wallet_id", "number": "number"}
"""The column that holds each kind of name; the table's own id is ours."""


async def lock_wallets(
    connection: Connection, wanted: Iterable[tuple[str, WalletName]], ids: Iterable[int] = ()
) -> list[Wallet]:
    """Return the wallets that go by any of the names (company, name) or ids, locked in the order of their ids."""
    companies: dict[WalletKind, list[str]] = {kind: [] for kind in WALLET_KINDS}
    values: dict[WalletKind, list[str]] = {kind: [] for kind in WALLET_KINDS}
    for company, (kind, value) in wanted:
        companies[kind].append(company)
        values[kind].append(value)
    names = [column for kind in WALLET_KINDS for column in (companies[kind], values[kind])]
    return [_to_wallet(row) for row in await connection.fetch(query("lock_wallets"), *names, list(ids))]


async def draw(connection: Connection, draws: Sequence[tuple[int, int]]) -> None:
    """Draw on wallets that are locked, by (id, minor units); units below zero give back."""
    if draws:
        await connection.execute(query("draw"), *columns(draws))


async def find_wallets(connection: Connection, company: str, name: WalletName | None = None) -> list[Wallet]:
    """Return the company's wallets in the order in which they were first put, or of them the one of that name."""
    values = [name.value if name is not None and name.kind == kind else None for kind in WALLET_KINDS]
    return [_to_wallet(row) for row in await connection.fetch(query("find_wallets"), company, *values)]


async def put_wallets(session: Session, puts: Sequence[Put]) -> dict[int, RefusedError]:
    """State the wallets, in order and in one transaction; return the refusals by index into puts.

    Raises as Session.transaction() does; then nothing was written.
    """
    refusals: dict[int, RefusedError] = {}
    if puts:
        async with session.transaction() as connection:
            stated = await StatedWallets.lock(connection, puts)
            for index, (policy, put) in enumerate(puts):
                try:
                    await stated.put(policy, put)
                except RefusedError as refusal:
                    refusals[index] = refusal
    return refusals


class StatedWallets:
    """The wallets that statements name, locked until the transaction ends: each is judged after the one before it."""

    def __init__(self, connection: Connection, wallets: Iterable[Wallet]) -> None:
        self._connection = connection
        self._wallets = {wallet.id: wallet for wallet in wallets}
        self._ids = {name: wallet.id for wallet in self._wallets.values() for name in _names(wallet)}

    @classmethod
    async def lock(cls, connection: Connection, puts: Iterable[Put]) -> "StatedWallets":
        """Lock what the statements name, known or new: other statements of the companies wait, payments do not."""
        named = {(policy.company, name) for policy, put in puts for name in put.names()}
        await connection.execute(query("lock_companies"), list({company for company, _ in named}))
        return cls(connection, await lock_wallets(connection, named))

    def known(self, company: str, put: WalletPut) -> list[Wallet]:
        """Return the wallets that go by any of the statement's names."""
        names = [(company, name) for name in put.names()]
        return [self._wallets[number] for number in {self._ids[name] for name in names if name in self._ids}]

    async def put(self, policy: Policy, put: WalletPut) -> Wallet | None:
        """Write the statement and return the wallet; None for one that is ignored. Raises RefusedError."""
        statement = state_wallet(put, policy.company, policy.currency, self.known(policy.company, put))
        if statement is None:
            return None
        wallet = await self._write(statement)
        if wallet.id in self._wallets:
            for name in _names(self._wallets[wallet.id]):
                del self._ids[name]
        self._wallets[wallet.id] = wallet
        self._ids.update(dict.fromkeys(_names(wallet), wallet.id))
        return wallet

    async def _write(self, statement: WalletStatement) -> Wallet:
        is_new = statement.wallet_id is None
        (row,) = await self._connection.fetch(
            query("insert_wallet" if is_new else "update_wallet"),
            statement.company if is_new else statement.wallet_id,
            *(statement.names.get(kind) for kind in WALLET_KINDS),
            statement.currency,
            statement.version,
            statement.unconditional,
            statement.conditional,
        )
        return _to_wallet(row)


def _names(wallet: Wallet) -> list[tuple[str, WalletName]]:
    return [(wallet.company, WalletName(kind, value)) for kind, value in wallet.names.items()]


def _to_wallet(row: Mapping[str, Any]) -> Wallet:
    return Wallet(
        id=row["id"],
        company=row["company"],
        names={kind: row[column] for kind, column in _COLUMNS.items() if row[column] is not None},
        currency=row["currency"],
        version=row["version"],
        unconditional=row["unconditional"],
        conditional=row["conditional"],
        drawn=row["drawn"],
    )
