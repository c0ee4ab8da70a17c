"""The statements of a slice, on books that are filled: by indexes, from its first row to its last, and no further."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.integration.audited_books import Books
from tests.integration.cancelled_books import cancelled_books
from tests.places import Database
from worker.books.audit_slice import SETTINGS
from worker.books.checks import WALKS, Findings, Range, arguments, ending
from worker.books.sql import query

ROWS, SLICE_ROWS = 20_000, 100
FILL = f"""
INSERT INTO invoices (company, billcode, currency, stated_state, version, capital, interest, noticefee)
    SELECT 'acme', 'filled-' || n, 'EUR', 'OPEN', 1, 100, 0, 0 FROM generate_series(1, {ROWS}) n;
INSERT INTO wallets (company, number, currency, version, unconditional, conditional)
    SELECT 'acme', 'filled-' || n, 'EUR', 1, 100, 0 FROM generate_series(1, {ROWS}) n;
INSERT INTO payments (company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency,
        paydate, event_id, created_at, updated_at, is_cancelled, wallet)
    SELECT 'acme', 'filled-' || n, sha256(''), 'ropo.payment.v1', 6, 'booked', 1, 0, 'EUR',
        '2017-10-10', gen_random_uuid(), now(), now(), n % 5 = 0,
        CASE WHEN n % 3 = 0 THEN (SELECT min(id) FROM wallets) + n % 1000 END
    FROM generate_series(1, {ROWS}) n;
INSERT INTO payments (company, idempotency_key, fingerprint, source, statusid, reason, amount, unfocused, currency,
        event_id, created_at, updated_at, cancels)
    SELECT 'acme', 'cancel-' || idempotency_key, sha256(''), 'payment.cancel.v1', 11, 'cancelled', -1, 0, 'EUR',
        gen_random_uuid(), now(), now(), id
    FROM payments WHERE is_cancelled AND idempotency_key LIKE 'filled-%';
INSERT INTO allocations (payment_id, line, invoice_id, amount, capital, interest, noticefee, created_at)
    SELECT p.id, 1, i.id, 1, 1, 0, 0, now() FROM payments p JOIN invoices i ON i.billcode = p.idempotency_key
    WHERE i.billcode LIKE 'filled-%';
INSERT INTO outcomes (event_id, company, payment_id, idempotency_key, source, statusid, occurred_at, body)
    SELECT event_id, company, id, idempotency_key, source, statusid, now(), '{{}}'
    FROM payments WHERE idempotency_key LIKE '%filled-%';
INSERT INTO outbox (event_id, replayed) SELECT event_id, false FROM outcomes;
INSERT INTO pending (payment_id, awaited_since, wake_at, awaits, body)
    SELECT id, now(), now(), '{{}}', '' FROM payments WHERE idempotency_key LIKE 'filled-%';
ANALYZE
"""
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


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def rows_read(node: dict[str, Any]) -> int:
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
