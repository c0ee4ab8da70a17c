"""What commands print: records for people as tables, for programs as JSON; notes and progress on stderr."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
import msgspec

from schemas.codec import encode

Function = TypeVar("Function", bound=Callable[..., Any])
Record = Mapping[str, Any]

PIPED_WIDTH = 240
"""Columns of a table that goes to no terminal."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_option(command: Function) -> Function:
    """Give a command `--json`, as the argument as_json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: object) -> None:
    """Print one JSON document, decimals exact."""
    click.echo(msgspec.json.format(encode(value), indent=2))


def print_json_line(value: object) -> None:
    """Print the value as a line of JSON, at once."""
    click.echo(encode(value))
    sys.stdout.flush()


def print_record(record: Record, *, as_json: bool) -> None:
    """Print one record, for people a line a field."""
    if as_json:
        print_json(record)
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        click.echo(f"{name:<{width}}  {shown(value)}")


def print_records(records: Sequence[Record], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Print a list of records, for people a table of the columns named, or what `empty` says."""
    if as_json:
        print_json(records)
        return
    if not records:
        click.echo(empty)
        return
    from rich.console import Console  # noqa: PLC0415 (its import costs more than most commands take)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    names = list(columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(Text(shown(record[name])) for name in names))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False).print(table)


def shown(value: object) -> str:
    """Return the value as text for a terminal, with control characters escaped: the text may come from anyone."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str():
            text = value
        case Mapping() | list() | tuple():
            text = encode(value).decode() if value else "-"
        case _:
            text = str(value)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def note(text: str) -> None:
    """Say something on stderr, beside what is printed."""
    click.echo(shown(text), err=True)
