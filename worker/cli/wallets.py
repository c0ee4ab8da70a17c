"""`payment-worker wallets`."""

import asyncio
from typing import Any

import click

from schemas.codec import parse
from schemas.invalid import InvalidMessageError
from schemas.limits import IDENTIFIER_CHARS_MAX, INTEGER_ID_MAX
from schemas.money import to_text
from schemas.registration import WALLET_KINDS, WalletName
from schemas.wallet import WalletPut
from worker.books.wallets import StatedWallets, find_wallets
from worker.cli.parameters import TEXT, WholeNumber, company_option
from worker.cli.servers import NotFoundError, books, policy_of
from worker.cli.terminal import json_option, note, print_record, print_records
from worker.domain.wallet import Wallet

_COLUMNS = ("id", "number", "currency", "unconditional", "conditional", "drawn", "available", "version")


@click.group()
def wallets() -> None:
    """Put and show wallets: funds that payments may be paid from."""


@wallets.command()
@company_option
@click.option("--id", type=TEXT, help="The wallet's id.")
@click.option("--number", type=TEXT, help="The wallet's number.")
@click.option("--unconditional", required=True, type=TEXT, metavar="AMOUNT", help="Funds that may pay any invoice.")
@click.option("--conditional", type=TEXT, metavar="AMOUNT", help="Funds that pay no invoice; 0 where not given.")
@click.option("--currency", type=TEXT, metavar="CODE", help="ISO 4217 code; else the wallet's, else the company's.")
@click.option("--version", type=WholeNumber(0, INTEGER_ID_MAX), help="The statement's version; else the next one.")
@json_option
def put(*, company: str, version: int | None, as_json: bool, **fields: str | None) -> None:
    """Create a wallet, or state its funds anew: what it holds before any payment registered here.

    A statement whose version is not above the stored one is ignored.
    """
    try:
        statement = parse(WalletPut, {**fields, "version": version or 0})
    except InvalidMessageError as error:
        raise click.UsageError(str(error).removeprefix("message ")) from None
    print_record(_record(asyncio.run(_put(company, statement, has_version=version is not None))), as_json=as_json)


@wallets.command()
@company_option
@click.option("--id", type=TEXT)
@click.option("--number", type=TEXT)
@json_option
def show(*, company: str, as_json: bool, **named: str | None) -> None:
    """Show the wallet that its id or its number names."""
    given = [WalletName(kind, value) for kind in WALLET_KINDS if (value := named[kind]) is not None]
    if len(given) != 1:
        raise click.UsageError("give exactly one of --id, --number")
    print_record(_record(asyncio.run(_find(company, given[0]))), as_json=as_json)


@wallets.command("list")
@company_option
@json_option
def list_wallets(*, company: str, as_json: bool) -> None:
    """List the company's wallets."""
    records = [_record(wallet) for wallet in asyncio.run(_list(company))]
    print_records(records, _COLUMNS, as_json=as_json, empty="No wallets yet: see `payment-worker wallets put`.")


async def _put(company: str, statement: WalletPut, *, has_version: bool) -> Wallet:
    """Write the statement and return the wallet; where it is ignored, say so and return the wallet as it stands."""
    async with books("wallets put") as session, session.transaction() as connection:
        policy = await policy_of(connection, company)
        stated = await StatedWallets.lock(connection, [(policy, statement)])
        known = stated.known(company, statement)
        if not has_version:
            following = max((wallet.version + 1 for wallet in known), default=1)
            statement = statement.model_copy(update={"version": min(following, INTEGER_ID_MAX)})
        wallet = await stated.put(policy, statement)
    if wallet is None:
        (wallet,) = known
        note(f"version {statement.version} is not above the stored {wallet.version}: nothing was changed")
    return wallet


async def _find(company: str, name: WalletName) -> Wallet:
    async with books("wallets show") as session, session.connection() as connection:
        await policy_of(connection, company)
        found = await find_wallets(connection, company, name)
    if not found:
        raise NotFoundError(f"company {company} has no wallet with {name.kind} {name.value[:IDENTIFIER_CHARS_MAX]}")
    return found[0]


async def _list(company: str) -> list[Wallet]:
    async with books("wallets list") as session, session.connection() as connection:
        await policy_of(connection, company)
        return await find_wallets(connection, company)


def _record(wallet: Wallet) -> dict[str, Any]:
    amounts = {name: getattr(wallet, name) for name in ("unconditional", "conditional", "drawn", "available")}
    return {
        "company": wallet.company,
        **{kind: wallet.names.get(kind) for kind in WALLET_KINDS},
        "currency": wallet.currency,
        **{name: to_text(amount, wallet.currency) for name, amount in amounts.items()},
        "version": wallet.version,
    }
