"""The books by themselves: schema, SQL, invoices as their owners state them, and what no session may do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import PurePath

import asyncpg
import pytest
from msgspec.structs import replace

from deploy.servers import Servers
from schemas.codec import parse
from schemas.invoice import InvoicePut
from schemas.orders import AllocationOrder
from schemas.registration import Identifier
from tests.builders import a_message
from tests.places import Database, database_url, new_database
from tests.site import WAITS_FOR_A_LOCK, eventually
from worker.books.companies import put_policy, read_policies
from worker.books.ledger import settle_batch
from worker.books.lookup import lock_invoices
from worker.books.migrate import migrate, migrations
from worker.books.session import Connection, Session
from worker.books.sql import query
from worker.books.statements import put_invoices
from worker.domain.errors import ContendedError, PermanentError, RefusedError, UnavailableError
from worker.domain.policy import DuplicateCheck, IdentifierRule, Overpayment, Policy, Treatment
from worker.domain.request import read_request
from worker.domain.view import Moment

ACME = Policy(company="acme", currency="EUR")
OTHER = Policy(company="other", currency="JPY")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = [PurePath(entry.name).stem for entry in (files("worker.books") / "queries").iterdir()]
# What an import does to its own temporary tables is tried by the tests of the import.
QUERIES = [name for name in QUERIES if "import" not in name]


def invoice(**fields: object) -> InvoicePut:
    return parse(InvoicePut, {"billcode": "b1", "capital": 100, "interest": 10, "noticefee": 5, "version": 1} | fields)


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with Session(database.url, "test") as session:
        async with session.connection() as connection:
            await put_policy(connection, ACME)
            await put_policy(connection, OTHER)
        yield session


async def put(session: Session, *puts: InvoicePut, policy: Policy = ACME) -> dict[int, RefusedError]:
    return await put_invoices(session, [(policy, each) for each in puts], NOW)


async def rows(session: Session) -> list[dict[str, object]]:
    async with session.connection() as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM invoices ORDER BY id")]


async def allocate(session: Session, capital: int) -> None:
    async with session.connection() as connection:
        await connection.execute("UPDATE invoices SET capital_allocated = $1", capital)


async def test_each_statement_fits_the_migrated_schema(session: Session) -> None:
    async with session.connection() as connection:
        for name in QUERIES:
            await connection.prepare(query(name))


def test_migrating_again_and_by_several_at_once_applies_each_file_once(servers: Servers) -> None:
    async def by_several(url: str) -> list[list[str]]:
        return await asyncio.gather(*(migrate(url) for _ in range(5)))

    with new_database(servers) as name:
        applied = asyncio.run(by_several(database_url(servers, name)))
        again = asyncio.run(migrate(database_url(servers, name)))

    assert max(applied, key=len) == [migration.version for migration in migrations()]
    assert sum(len(each) for each in applied) == len(migrations())
    assert again == []


async def test_a_migration_that_was_changed_after_it_was_applied_is_refused(database: Database) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute("UPDATE schema_migrations SET checksum = 'another'")
    await connection.close()

    with pytest.raises(PermanentError, match="0001_books is not the file that was applied"):
        await migrate(database.url)


async def test_a_policy_is_read_as_it_was_put(session: Session) -> None:
    policy = Policy(
        company="acme",
        currency="KWD",
        allocation=AllocationOrder.PRO_RATA,
        allocation_for={"directpayment": AllocationOrder.INTEREST_CAPITAL_NOTICEFEE},
        overpayment=Overpayment.REJECT,
        treat={"a": Treatment.ROPO, "b": Treatment.IGNORE},
        books_closed_until=NOW.date(),
        duplicates=DuplicateCheck.FLAG,
        await_invoice_s=7,
        hide_foreign=True,
        identifiers=IdentifierRule.ALL,
    )
    async with session.connection() as connection:
        await put_policy(connection, policy)
        named, every = await read_policies(connection, ["acme", "nobody"]), await read_policies(connection)
    assert {company: replace(read, row_version=None) for company, read in named.items()} == {"acme": policy}
    assert named["acme"] == every["acme"]
    assert replace(every["other"], row_version=None) == OTHER


async def test_an_invoice_is_created_and_updated_by_any_of_its_names(session: Session) -> None:
    await put(session, invoice(jobid=7, due_date="2026-02-01", account={"id": "A", "name": "Anna"}))
    await put(session, invoice(billcode=None, jobid=7, billnum="R7", version=2, capital=200))

    (row,) = await rows(session)
    assert (row["billcode"], row["jobid"], row["billnum"]) == ("b1", 7, "R7")
    assert (row["capital"], row["version"], row["account_name"]) == (20_000, 2, "Anna")


async def test_a_statement_that_is_late_or_comes_twice_is_ignored(session: Session) -> None:
    await put(session, invoice(version=5, capital=5), invoice(version=4, capital=4), invoice(version=5, capital=55))
    assert await put(session, invoice(version=3, capital=3)) == {}

    (row,) = await rows(session)
    assert (row["capital"], row["version"]) == (500, 5)


async def test_statements_of_one_invoice_in_one_batch_are_taken_in_their_order(session: Session) -> None:
    await put(
        session,
        invoice(version=1),
        invoice(version=2, capital=2),
        invoice(billcode="b2"),
        invoice(version=3, capital=3),
    )

    assert [row["capital"] for row in await rows(session)] == [300, 10_000]


@pytest.mark.parametrize("fillers", [0, 5])
async def test_two_names_of_one_invoice_in_one_batch_mean_one_invoice(session: Session, fillers: int) -> None:
    await put(session, invoice(billnum="R1"))
    others = [invoice(billcode=f"other {number}") for number in range(fillers)]
    by_billnum = invoice(billcode=None, billnum="R1", external_id="E1", version=3, capital=3)
    await put(session, by_billnum, *others, invoice(version=2, capital=2))

    row = (await rows(session))[0]
    assert (row["version"], row["capital"], row["external_id"]) == (3, 300, "E1")


@pytest.mark.usefixtures("patient_locks")
async def test_batches_that_name_the_same_invoices_in_any_order_do_not_deadlock(
    session: Session, database: Database
) -> None:
    names = [f"b{number}" for number in range(40)]
    await put(session, *(invoice(billcode=name) for name in names))

    async def put_all(version: int) -> None:
        async with Session(database.url, "test") as own:
            order = names[::-1] if version % 2 else names
            # Each invoice twice, so that a batch is written in more than one go.
            await put(own, *(invoice(billcode=name, version=version + turn) for turn in (0, 1) for name in order))

    for round_ in range(10):
        await asyncio.gather(*(put_all(10 * round_ + worker * 2) for worker in range(1, 4)))


async def test_batches_write_their_keys_in_one_order_so_that_they_do_not_deadlock(session: Session) -> None:
    requests = [read_request(a_message(message_id=key), ACME, NOW.date()) for key in ("k3", "k10", "k2", "K1")]
    await settle_batch(session, requests, {ACME.company: ACME}, Moment(NOW))
    async with session.connection() as connection:
        written = await connection.fetch("SELECT idempotency_key FROM payments ORDER BY ctid")
    assert [row["idempotency_key"] for row in written] == ["K1", "k10", "k2", "k3"]


@pytest.mark.usefixtures("patient_locks")
@pytest.mark.parametrize("setting", ["seqscan", "hashjoin", "nestloop", "mergejoin", "indexscan", "hashagg"])
async def test_invoices_that_had_to_be_waited_for_are_all_there(
    session: Session, database: Database, setting: str
) -> None:
    """However the statement is planned: a row that another worker has changed is judged anew when its turn comes."""
    await put(session, *(invoice(billcode=f"b{n}", billnum=f"r{n}") for n in range(4)))
    names = [Identifier("billcode", "b0"), Identifier("billcode", "b1"), Identifier("billnum", "r2")]
    wanted = [(ACME.company, name) for name in (*names, Identifier("billcode", "b3"))]
    async with Session(database.url, "other") as other:
        async with other.transaction() as changing:
            await changing.execute("UPDATE invoices SET capital_allocated = 1 WHERE billcode IN ('b0', 'b2')")
            waiting = asyncio.create_task(locked(session, setting, wanted))
            await eventually(lambda: waits(changing))
        assert await waiting == ["b0", "b1", "b2", "b3"]


async def locked(session: Session, setting: str, wanted: Sequence[tuple[str, Identifier]]) -> list[str]:
    async with session.transaction() as connection:
        await connection.execute(f"SET LOCAL enable_{setting} = off")
        return [invoice.identifiers["billcode"] for invoice in await lock_invoices(connection, wanted)]


async def waits(connection: Connection) -> bool:
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return bool(await connection.fetchval(WAITS_FOR_A_LOCK))


async def test_the_same_names_in_two_companies_are_two_invoices(session: Session) -> None:
    await put(session, invoice())
    await put(session, invoice(capital=7), policy=OTHER)

    assert [(row["company"], row["currency"], row["capital"]) for row in await rows(session)] == [
        ("acme", "EUR", 10_000),
        ("other", "JPY", 7),
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"billnum": "R2"}, "message"),
        ({"capital": "49.99"}, "capital"),
        ({"currency": "USD"}, "currency"),
        ({"interest": "0.001"}, "interest"),
    ],
)
async def test_a_statement_that_contradicts_the_books_is_refused_and_changes_nothing(
    session: Session, fields: dict[str, object], field: str
) -> None:
    await put(session, invoice(), invoice(billcode="b2", billnum="R2"))
    await allocate(session, 5_000)
    before = await rows(session)

    refusals = await put(session, invoice(version=2, **fields), invoice(billcode="b3"))

    assert [error["field"] for error in refusals[0].errors] == [field]
    after = await rows(session)
    assert after[:2] == before
    assert after[2]["billcode"] == "b3"


async def test_a_statement_keeps_what_has_been_allocated(session: Session) -> None:
    await put(session, invoice())
    await allocate(session, 5_000)
    await put(session, invoice(version=2, capital=50))

    (row,) = await rows(session)
    assert (row["capital"], row["capital_allocated"]) == (5_000, 5_000)


async def test_workers_that_put_the_same_new_invoice_at_once_make_one(session: Session, database: Database) -> None:
    async def put_until_done(version: int) -> None:
        async with Session(database.url, "test") as own:
            while True:
                with contextlib.suppress(ContendedError):
                    await put(own, invoice(version=version, capital=version))
                    return

    await asyncio.gather(*(put_until_done(version) for version in range(1, 9)))

    (row,) = await rows(session)
    assert (row["version"], row["capital"]) == (8, 800)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE allocations SET capital = 1",
        "DELETE FROM allocations",
        "TRUNCATE allocations CASCADE",
        "UPDATE outcomes SET body = ''",
        "DELETE FROM outcomes",
        "DELETE FROM dead_letter_actions",
    ],
)
async def test_what_is_append_only_cannot_be_changed(session: Session, sql: str) -> None:
    async with session.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(sql)


@pytest.mark.parametrize(
    "sql", ["capital_allocated = 10001", "interest_allocated = -1", "noticefee = 0, noticefee_allocated = 1"]
)
async def test_the_database_itself_refuses_open_amounts_below_zero(session: Session, sql: str) -> None:
    await put(session, invoice())
    async with session.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE invoices SET {sql}")


async def test_a_server_that_is_not_there_is_no_message_s_fault(database: Database) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", "postgresql://127.0.0.1:port/none", database.url + "_missing"):
        async with Session(url, "test") as session:
            with pytest.raises(UnavailableError, match="Postgres"):
                async with session.connection():
                    pass


async def test_a_session_goes_on_after_the_server_ended_its_connection(session: Session, database: Database) -> None:
    other = await asyncpg.connect(database.url)
    async with session.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    await other.execute("SELECT pg_terminate_backend($1)", pid)
    await other.close()

    # Whether the first use still fails depends on whether the end of the connection has been noticed by then.
    with contextlib.suppress(UnavailableError):
        async with session.transaction() as connection:
            await connection.fetchval("SELECT 1")
    async with session.transaction() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_value_that_the_driver_cannot_encode_is_not_taken_for_an_outage(session: Session) -> None:
    with pytest.raises(asyncpg.DataError):
        async with session.transaction() as connection:
            await connection.fetchval("SELECT $1::bigint", 2**70)
