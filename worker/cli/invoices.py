"""`payment-worker invoices`."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from schemas.limits import IDENTIFIER_CHARS_MAX, INTEGER_ID_MAX
from schemas.money import to_text
from schemas.registration import IDENTIFIER_KINDS, Identifier
from worker.books.invoice_import import (
    Imported,
    Row,
    WrongRow,
    begin_import,
    copy_rows,
    judge_import,
    write_import,
)
from worker.books.invoices import to_invoice
from worker.books.session import Connection
from worker.books.sql import query
from worker.cli.invoice_file import InvoiceFile
from worker.cli.parameters import FILE, TEXT, WholeNumber, company_option
from worker.cli.progress import Tell, progress
from worker.cli.servers import NotFoundError, books, policy_of
from worker.cli.terminal import json_option, note, print_record
from worker.domain.allocation import Components
from worker.domain.invoice import Invoice
from worker.limits import IMPORT_CHUNK_ROWS, WRONG_SHOWN


@click.group()
def invoices() -> None:
    """Import and show invoices."""


@invoices.command("import")
@click.argument("file", type=FILE)
@company_option
@json_option
def import_file(*, file: Path, company: str, as_json: bool) -> None:
    """Import FILE: JSON lines, or CSV with a header, with the fields of invoice.put.v1.

    All rows are imported, or none. A row whose version is not above the stored one is ignored; one without version is
    the invoice's next. An invoice named twice in a file is wrong. In a CSV the account's columns are account_id,
    account_number and account_name.
    """
    imported, rows = asyncio.run(_import(file, company))
    counts = {"created": imported.created, "updated": imported.updated, "ignored": imported.ignored, "rows": rows}
    print_record(counts, as_json=as_json)


@invoices.command()
@company_option
@click.option("--billcode", type=TEXT)
@click.option("--billnum", type=TEXT)
@click.option("--jobid", type=WholeNumber(0, INTEGER_ID_MAX))
@click.option("--reference-number", type=TEXT)
@click.option("--back-office-code", type=TEXT)
@click.option("--external-id", type=TEXT)
@json_option
def show(*, company: str, as_json: bool, **named: str | int | None) -> None:
    """Show the invoice that one identifier names. capital, interest and noticefee are what is open on it now."""
    given = [Identifier(kind, str(named[kind])) for kind in IDENTIFIER_KINDS if named[kind] is not None]
    if len(given) != 1:
        options = ", ".join("--" + kind.replace("_", "-") for kind in IDENTIFIER_KINDS)
        raise click.UsageError(f"give exactly one of {options}")
    invoice = asyncio.run(_find(company, given[0]))
    print_record(_record(invoice), as_json=as_json)


async def _import(path: Path, company: str) -> tuple[Imported, int]:
    with path.open("rb") as stream:
        file = InvoiceFile(stream, path)
        async with books("invoices import") as session, session.transaction() as connection:
            policy = await policy_of(connection, company)
            await begin_import(connection)
            with progress(f"Reading {path.name}", "rows", os.fstat(stream.fileno()).st_size) as tell:
                wrong, wrong_rows, rows = await _copy(connection, file, tell)
            if file.ignored_columns:
                note(f"columns not known here and left out: {', '.join(file.ignored_columns)}")
            note(f"{rows + wrong_rows:,} rows read; comparing with the books ...")
            judged, judged_rows = await judge_import(connection, policy, WRONG_SHOWN)
            _refuse(path, sorted(wrong + judged), wrong_rows + judged_rows)
            return await write_import(connection, policy, rows, datetime.now(UTC)), rows


async def _copy(connection: Connection, file: InvoiceFile, tell: Tell) -> tuple[list[WrongRow], int, int]:
    """Copy what can be read; return the first wrong rows, how many are wrong, and how many were copied."""
    wrong: list[WrongRow] = []
    wrong_rows = copied = 0
    for chunk in _chunks(file.rows()):
        good = [row for row in chunk if isinstance(row, Row)]
        bad = [row for row in chunk if isinstance(row, WrongRow)]
        wrong += bad[: WRONG_SHOWN - len(wrong)]
        wrong_rows += len(bad)
        await copy_rows(connection, good)
        copied += len(good)
        tell(file.position, copied + wrong_rows)
    return wrong, wrong_rows, copied


def _chunks(rows: Iterator[Row | WrongRow]) -> Iterator[list[Row | WrongRow]]:
    while chunk := list(islice(rows, IMPORT_CHUNK_ROWS)):
        yield chunk


def _refuse(path: Path, wrong: list[WrongRow], wrong_rows: int) -> None:
    """Raise where any row is wrong, having said which: nothing is imported then."""
    if not wrong_rows:
        return
    for row in wrong[:WRONG_SHOWN]:
        note(f"line {row.line}: {row.why}")
    if wrong_rows > WRONG_SHOWN:
        note(f"and {wrong_rows - WRONG_SHOWN:,} more")
    raise click.ClickException(f"{path}: {wrong_rows:,} wrong rows; nothing was imported. Mend them and import again")


async def _find(company: str, identifier: Identifier) -> Invoice:
    async with books("invoices show") as session, session.connection() as connection:
        await policy_of(connection, company)
        number = int(identifier.value) if identifier.kind == "jobid" else None
        row = await connection.fetchrow(query("find_invoice"), company, identifier.kind, identifier.value, number)
    if row is None:
        shown = identifier.value[:IDENTIFIER_CHARS_MAX]
        raise NotFoundError(f"company {company} has no invoice with {identifier.kind} {shown}")
    return to_invoice(row)


def _record(invoice: Invoice) -> dict[str, Any]:
    return {
        **identifiers(invoice),
        "account": {
            "id": invoice.account_id,
            "number": invoice.account_number,
            "name": invoice.account_name,
        },
        "currency": invoice.currency,
        "state": invoice.state,
        **_amounts(invoice.open, invoice.currency),
        "stated": _amounts(invoice.stated, invoice.currency),
        "allocated": _amounts(invoice.allocated, invoice.currency),
        "version": invoice.version,
        "due_date": invoice.due_date,
    }


def identifiers(invoice: Invoice) -> dict[str, str | int | None]:
    """Return all six names, null where the invoice has none; the jobid as a number."""
    names: dict[str, str | int | None] = {kind: invoice.identifiers.get(kind) for kind in IDENTIFIER_KINDS}
    if names["jobid"] is not None:
        names["jobid"] = int(names["jobid"])
    return names


def _amounts(amounts: Components, currency: str) -> dict[str, str]:
    return {name: to_text(amount, currency) for name, amount in amounts._asdict().items()}
