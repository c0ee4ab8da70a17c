"""Books behind their walls: a database that its owner owns, with a login of each role, as an administrator makes it."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.servers import Servers
from tests.places import database_url, new_database, run_sql
from worker.books.migrate import migrate
from worker.books.rights import grant_rights, rights

ROLES_SQL = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
OWNER, STRANGER = "owner", "stranger"


@dataclass(frozen=True)
class WalledBooks:
    """Login URLs: of the owner, of a member of each role (by the role's name), and of a stranger to all of it."""

    urls: Mapping[str, str]
    admin_url: str


@contextmanager
def new_walled_books(servers: Servers) -> Iterator[WalledBooks]:
    """Make logins, database and roles, migrate and grant, as deploy/postgres and `payment-worker setup` have it."""
    tag = secrets.token_hex(6)
    logins = {role: f"{role}_{tag}" for role in (OWNER, STRANGER, *rights())}
    with new_database(servers) as name:
        admin_url = database_url(servers, name)
        parts = urlsplit(admin_url)
        urls = {
            role: urlunsplit(parts._replace(netloc=f"{login}:{tag}@{parts.hostname}:{parts.port}"))
            for role, login in logins.items()
        }
        try:
            for role in (OWNER, STRANGER):
                run_sql(servers, f"CREATE ROLE {logins[role]} LOGIN PASSWORD '{tag}'")
            run_sql(servers, f'ALTER DATABASE "{name}" OWNER TO {logins[OWNER]}')
            asyncio.run(execute(admin_url, ROLES_SQL.read_text()))
            for role in rights():
                run_sql(servers, f"CREATE ROLE {logins[role]} LOGIN PASSWORD '{tag}' IN ROLE {role}")
            asyncio.run(migrate(urls[OWNER]))
            asyncio.run(grant_rights(urls[OWNER]))
            yield WalledBooks(urls, admin_url)
        finally:
            run_sql(servers, f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER')
            asyncio.run(execute(admin_url, f"REASSIGN OWNED BY {logins[OWNER]} TO CURRENT_USER"))
            asyncio.run(execute(admin_url, f"DROP OWNED BY {logins[OWNER]}"))
            for login in logins.values():
                run_sql(servers, f"DROP ROLE IF EXISTS {login}")


async def execute(url: str, statement: str) -> None:
    """Run the statements on a connection of their own; what they change is undone if one of them fails."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
