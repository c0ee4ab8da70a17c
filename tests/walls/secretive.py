"""Logins whose passwords are to be looked for."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.servers.answers import ask_management
from tests.integration.command_line import CommandLine
from tests.places import Vhost
from tests.site import Site
from tests.walls.secret import CORES, password, with_login


@asynccontextmanager
async def secretive_line(site: Site, vhost: Vhost) -> AsyncIterator[CommandLine]:
    """A command line on the site, whose logins to both servers are there for as long as the block lasts."""
    user = f"secretive_{secrets.token_hex(4)}"
    quoted = password(CORES["database"]).replace("'", "''")
    await asyncio.to_thread(_add_broker_user, vhost, user)
    await site.database.execute(f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{quoted}'")
    try:
        yield CommandLine(
            with_login(vhost.amqp_url, user, CORES["amqp"]), with_login(site.database_url, user, CORES["database"])
        )
    finally:
        await site.database.execute(f"DROP ROLE {user}")
        await asyncio.to_thread(ask_management, vhost.management_url, "DELETE", f"/api/users/{user}")


def _add_broker_user(vhost: Vhost, user: str) -> None:
    login = json.dumps({"password": password(CORES["amqp"]), "tags": ""}).encode()
    everything = b'{"configure": ".*", "write": ".*", "read": ".*"}'
    ask_management(vhost.management_url, "PUT", f"/api/users/{user}", login)
    ask_management(vhost.management_url, "PUT", f"/api/permissions/{vhost.name}/{user}", everything)
