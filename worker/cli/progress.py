"""How far a long command is: a bar on a terminal, else a line now and then; on stderr, beside the results."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import click

from worker.limits import PROGRESS_LINE_S

Tell: TypeAlias = Callable[[int, int], None]
"""Takes how much is done, in the unit of the total, and how many items that is."""


@contextmanager
def progress(doing: str, items: str, total: int | None) -> Iterator[Tell]:
    """Give the block a function that it tells how far it is. total: None where it is unknown."""
    if sys.stderr.isatty():
        yield from _bar(doing, items, total)
    else:
        yield _lines(doing, items, total)


def _bar(doing: str, items: str, total: int | None) -> Iterator[Tell]:
    from rich.console import Console  # noqa: PLC0415 (its import costs more than most commands take)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[items]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total or None, items="")

        def tell(done: int, count: int) -> None:
            bar.update(task, completed=done, items=f"{count:,} {items}")

        yield tell


def _lines(doing: str, items: str, total: int | None) -> Tell:
    last = time.monotonic()

    def tell(done: int, count: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_LINE_S:
            last = time.monotonic()
            share = f" ({min(done, total) * 100 // total} %)" if total else ""
            click.echo(f"{doing}: {count:,} {items}{share}", err=True)

    return tell
