"""Rows and values as the statements take them."""

from collections.abc import Sequence

from schemas.codec import encode


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Return the columns of the rows: none where there are no rows, since these say how many there would be."""
    return [list(column) for column in zip(*rows, strict=True)]


def document(value: object) -> str:
    """Return the value as a jsonb parameter: nothing is escaped that only a database in UTF8 could read."""
    return encode(value).decode()
