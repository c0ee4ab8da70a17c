"""The statements of a slice, on books that are filled: by indexes, from its first row to its last, and no further."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.audited_books import Books
from tests.integration.cancelled_books import cancelled_books
from tests.integration.filled_books import FILL, ROWS, nodes
from tests.places import Database
from worker.books.audit_slice import SETTINGS
from worker.books.checks import WALKS, Findings, Range, arguments, ending
from worker.books.sql import query

SLICE_ROWS = 100
STATEMENTS = [(walk, check.name, check.arguments) for walk in WALKS for check in WALKS[walk].checks] + [
    (walk, f"audit_slice_{walk}", 0) for walk in WALKS
]


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with cancelled_books(database) as books:
        async with books.session.connection() as connection:
            await connection.execute(FILL)
        yield books


async def test_a_slice_reads_its_own_rows_by_index(books: Books) -> None:
    wide = []
    async with books.session.connection() as connection, connection.transaction():
        await connection.execute(SETTINGS)
        for walk, name, count in STATEMENTS:
            key = "event_id" if walk == "outcomes" else "id"
            first = await connection.fetchval(f"SELECT {key} FROM {walk} ORDER BY {key} OFFSET {ROWS // 2} LIMIT 1")
            last, _ = await ending(connection, walk, Range(first, WALKS[walk].whole.last), SLICE_ROWS)
            given = arguments(Findings(10), Range(first, last))[:count] or [first, last, SLICE_ROWS]
            told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query(name)}", *given)
            wide += [
                (name, node["Node Type"], node["Relation Name"])
                for node in nodes(json.loads(told)[0]["Plan"])
                if "Relation Name" in node and (node["Node Type"] == "Seq Scan" or rows_read(node) > ROWS // 10)
            ]

    assert wide == []


def rows_read(node: dict[str, Any]) -> int:
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
