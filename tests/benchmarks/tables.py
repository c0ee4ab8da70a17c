"""The same lines for people at a terminal and for a README."""

import sys
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 150


def show(titles: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> None:
    """Print a table."""
    table = Table(*titles, caption=caption, show_lines=True)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def warn(texts: Iterable[str]) -> None:
    """Print what is not right."""
    for text in texts:
        _console().print(f"WRONG: {text}", style="red", markup=False)


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, and an empty one after it; nothing where there are no rows."""
    found = list(rows)
    if found:
        for cells in (titles, ["---"] * len(titles), *found):
            yield f"| {' | '.join(cells)} |"
        yield ""


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
