"""`payment-worker setup`."""

import asyncio

import click

from worker.books.migrate import migrate
from worker.books.rights import grant_rights
from worker.books.session import Session
from worker.broker.connection import link_errors
from worker.broker.topology import declare
from worker.cli.broker import broker
from worker.cli.servers import read_urls


@click.command()
def setup() -> None:
    """Migrate the database and declare the topology. Safe to repeat, by several at once, while workers run."""
    asyncio.run(_setup())


async def _setup() -> None:
    _, _, database_url = read_urls()
    async with Session(database_url, "setup") as session, session.connection():
        pass  # The session tells plainly why a server is not to be reached.
    applied = await migrate(database_url)
    click.echo(f"database: {'applied ' + ', '.join(applied) if applied else 'up to date'}")
    granted = await grant_rights(database_url)
    click.echo(f"rights: {'granted to ' + ', '.join(granted) if granted else 'all with the owner: there are no roles'}")
    async with broker("setup") as connection:
        with link_errors("declaring the topology"):
            await declare(connection)
    click.echo("topology: declared")
