"""Rows as the columns that unnest() takes."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Return the columns of the rows, of which there is at least one."""
    return [list(column) for column in zip(*rows, strict=True)]
