"""`payment-worker audit`."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict

import click

from schemas.money import MINOR_DIGITS, to_text
from worker.books.audit import Audit, Sums
from worker.books.audit import audit as audit_books
from worker.books.checks import Finding
from worker.cli.servers import books
from worker.cli.terminal import json_option, print_json, shown


@click.command()
@json_option
def audit(*, as_json: bool) -> None:
    """Prove over the whole database that the books add up: exit 0 only if they do, and else say what does not."""
    result = asyncio.run(_audit())
    if as_json:
        print_json(_record(result))
    else:
        for line in told(result):
            click.echo(shown(line))
    if not result.adds_up:
        raise click.exceptions.Exit(1)


async def _audit() -> Audit:
    async with books("audit") as session:
        return await audit_books(session)


def _record(result: Audit) -> dict[str, object]:
    return {
        "adds_up": result.adds_up,
        "counts": dict(result.counts),
        "sums": [{"currency": sums.currency, **_amounts(sums)} for sums in result.sums],
        "found": dict(result.found),
        "findings": [asdict(finding) for finding in result.findings],
    }


def told(result: Audit) -> Iterator[str]:
    """Return the audit in lines: what was checked, what does not add up, and last the verdict."""
    of = result.counts
    yield (
        f"Checked {of['invoices']:,} invoices, {of['wallets']:,} wallets, {of['payments']:,} payments "
        f"({of['booked']:,} booked, {of['cancellations']:,} cancellations), {of['allocations']:,} allocations, "
        f"{of['outcomes']:,} outcomes, {of['outbox']:,} to publish."
    )
    for sums in result.sums:
        yield from _summed(sums)
    yield from (_line(finding) for finding in result.findings)
    if result.adds_up:
        yield "The books add up."
        return
    found = ", ".join(f"{kind} {count:,}" for kind, count in result.found.items())
    untold = sum(result.found.values()) - len(result.findings)
    yield f"The books do not add up: {found}." + (f" Not shown: {untold:,}." if untold else "")


def _summed(sums: Sums) -> Iterator[str]:
    of, amount = sums.currency, _amounts(sums)
    yield f"{of} of invoices: {amount['stated']} = {amount['allocated']} allocated + {amount['open']} open"
    if sums.tolerated or sums.allocated != sums.focused:
        sign = "=" if sums.allocated == sums.focused + sums.tolerated else "is not"
        told = f"{amount['focused']} focused + {amount['tolerated']} written off by tolerance"
        yield f"{of} allocated: {amount['allocated']} {sign} {told}"
    yield f"{of} of payments: {amount['booked']} = {amount['focused']} focused + {amount['unfocused']} unfocused"
    if sums.received != sums.booked:
        others = f"{amount['from_wallets']} from wallets + {amount['written_off']} written off"
        yield f"{of} of payments: {amount['booked']} = {amount['received']} received + {others}"


def _line(finding: Finding) -> str:
    wallet = None if finding.wallet is None else f"wallet {finding.wallet}"
    whose = (finding.company, finding.idempotency_key, finding.invoice, wallet)
    names = ", ".join(name for name in whose if name is not None) or "no company"
    return f"{finding.kind}: {names}: expected {finding.expected}; found {finding.found}"


def _amounts(sums: Sums) -> dict[str, str]:
    amounts = {name: value for name, value in asdict(sums).items() if name != "currency"}
    # A currency that nobody knows is damage of its own; its minor units are told as they are.
    is_known = sums.currency in MINOR_DIGITS
    return {name: to_text(value, sums.currency) if is_known else str(value) for name, value in amounts.items()}
