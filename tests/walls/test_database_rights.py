"""What each role may not do in Postgres, asked of real logins; and that nothing was forgotten when it was granted."""

import asyncio
from collections.abc import Iterable, Iterator

import asyncpg
import pytest

from deploy.servers import Servers
from tests.walls.refused import OPS, READ, REFUSED, RUN, TABLES
from tests.walls.walled import OWNER, ROLES_SQL, STRANGER, WalledBooks, execute, new_walled_books
from worker.books.rights import grant_rights, rights


@pytest.fixture(scope="module")
def books(own_servers: Servers) -> Iterator[WalledBooks]:
    with new_walled_books(own_servers) as books:
        yield books


async def accepted(url: str, statements: Iterable[str]) -> list[str]:
    """Return those of the statements that the login has a right to; nothing of them is kept."""
    return [statement for statement, refusal in (await refusals(url, statements)).items() if is_by_trigger(refusal)]


async def refusals(url: str, statements: Iterable[str]) -> dict[str, str | None]:
    """Return how each statement is refused with SQLSTATE 42501; None for what goes through, or fails otherwise."""
    connection = await asyncpg.connect(url)
    try:
        return {statement: await _refusal(connection, statement) for statement in statements}
    finally:
        await connection.close()


async def _refusal(connection: asyncpg.Connection, statement: str) -> str | None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        return str(error)
    except asyncpg.PostgresError:
        return None
    finally:
        await transaction.rollback()
    return None


def is_by_trigger(refusal: str | None) -> bool:
    """Say that rights refuse nothing: a table's trigger does, with the same SQLSTATE, or nobody."""
    return refusal is None or "append-only" in refusal


@pytest.mark.parametrize("role", REFUSED)
def test_what_a_role_has_no_right_to_is_refused(books: WalledBooks, role: str) -> None:
    assert asyncio.run(accepted(books.urls[role], REFUSED[role])) == []


@pytest.mark.parametrize("role", REFUSED)
def test_no_role_can_become_its_owner(books: WalledBooks, role: str) -> None:
    owner = books.urls[OWNER].partition("://")[2].partition(":")[0]
    takings = (f"SET ROLE {owner}", f"ALTER TABLE payments OWNER TO {role}", f"ALTER ROLE {owner} PASSWORD 'x'")
    assert asyncio.run(accepted(books.urls[role], takings)) == []


def test_what_is_refused_would_else_be_done(books: WalledBooks) -> None:
    """The administrator has every right: what is refused to the roles is so for want of it, and for nothing else."""
    for statements in REFUSED.values():
        assert asyncio.run(accepted(books.admin_url, statements)) == list(statements)


def test_a_login_without_a_role_does_not_get_in(books: WalledBooks) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        asyncio.run(execute(books.urls[STRANGER], "SELECT 1"))


def test_the_owner_too_is_kept_from_what_is_append_only(books: WalledBooks) -> None:
    changes = ("UPDATE allocations SET capital = 0", "DELETE FROM outcomes", "DELETE FROM dead_letter_actions")
    refused = asyncio.run(refusals(books.urls[OWNER], changes))
    assert [text for text in refused.values() if text is None or "append-only" not in text] == []


NAMED = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
"""
OF_PUBLIC = """
SELECT c.relname AS name FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
UNION ALL
SELECT t.attname FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
UNION ALL
SELECT proname FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
WHERE pronamespace = 'public'::regnamespace AND a.grantee = 0
UNION ALL
SELECT nspname FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'public' AND a.grantee = 0
UNION ALL
SELECT datname FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) a
WHERE datname = current_database() AND a.grantee = 0
"""


async def fetch(url: str, statement: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def test_no_table_is_forgotten(books: WalledBooks) -> None:
    """A new table has to be thought of: who reads all reads it too, and somebody has to be refused to change it."""
    tables = set(asyncio.run(fetch(books.admin_url, NAMED)))
    assert tables == set(TABLES)
    for role in (OPS, READ):
        assert [table for table in tables if table not in rights()[role].replace(",", " ").split()] == []
    assert asyncio.run(accepted(books.urls[READ], tuple(f"SELECT FROM {table}" for table in tables))) == [
        f"SELECT FROM {table}" for table in tables
    ]


def test_public_has_nothing(books: WalledBooks) -> None:
    assert asyncio.run(fetch(books.admin_url, OF_PUBLIC)) == []


def test_a_right_that_is_granted_by_no_file_is_taken_at_the_next_setup(books: WalledBooks) -> None:
    too_much = f"GRANT ALL ON payments TO {READ}, PUBLIC; GRANT UPDATE (body) ON outcomes TO {OPS}"
    asyncio.run(execute(books.urls[OWNER], too_much))
    assert asyncio.run(fetch(books.admin_url, OF_PUBLIC)) != []
    assert sorted(asyncio.run(grant_rights(books.urls[OWNER]))) == sorted(rights())
    assert asyncio.run(fetch(books.admin_url, OF_PUBLIC)) == []
    assert asyncio.run(accepted(books.urls[READ], ("DELETE FROM payments",))) == []
    assert asyncio.run(accepted(books.urls[OPS], ("UPDATE outcomes SET body = ''",))) == []


def test_the_roles_file_can_be_run_again_and_rights_be_granted_by_several_at_once(books: WalledBooks) -> None:
    async def again() -> None:
        await execute(books.admin_url, ROLES_SQL.read_text())
        await asyncio.gather(*(grant_rights(books.urls[OWNER]) for _ in range(4)))

    asyncio.run(again())
    assert asyncio.run(accepted(books.urls[RUN], ("SELECT FROM payments",))) == ["SELECT FROM payments"]
