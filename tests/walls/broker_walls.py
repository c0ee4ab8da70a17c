"""A vhost with the topology and one user a role, as the definitions in deploy/rabbitmq have them."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit, urlunsplit

import aio_pika

from deploy.rabbitmq.definitions import Role, definitions, downstream, own_roles, upstream
from deploy.servers.answers import ask_management
from tests.places import Vhost
from worker.broker.topology import declare


@dataclass(frozen=True)
class Companies:
    """Three whose names begin alike: what fits one must not fit the others."""

    a: str
    aa: str
    ab: str


@dataclass(frozen=True)
class Walls:
    """The vhost, its companies, and its users by the names of their roles: `worker`, `upstream.a`, `downstream.ab`."""

    vhost: Vhost
    companies: Companies
    url_of: Callable[[str], str]
    management_url_of: Callable[[str], str]

    def named(self, text: str) -> str:
        """Return the text with the companies' names for {a}, {aa} and {ab}."""
        return text.format_map(vars(self.companies))


@contextmanager
def new_walls(vhost: Vhost) -> Iterator[Walls]:
    """Import the definitions and have `setup` declare the topology. Users belong to the broker: they get new names."""
    token = secrets.token_hex(4)
    companies = Companies(f"c{token}", f"c{token}a", f"c{token}-b")
    roles = {role.name: replace(role, name=f"{role.name}-{token}") for role in own_roles()}
    for short, company in vars(companies).items():
        roles |= {f"upstream.{short}": upstream(company), f"downstream.{short}": downstream(company)}
    passwords = {role.name: secrets.token_urlsafe(9) for role in roles.values()}
    body = json.dumps(definitions(list(roles.values()), passwords, vhost.name)).encode()

    def url_with(url: str, role: Role) -> str:
        parts = urlsplit(url)
        login = f"{quote(role.name, safe='')}:{quote(passwords[role.name], safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))

    walls = Walls(
        vhost,
        companies,
        lambda name: url_with(vhost.amqp_url, roles[name]),
        lambda name: url_with(vhost.management_url, roles[name]),
    )
    ask_management(vhost.management_url, "POST", "/api/definitions", body)
    try:
        asyncio.run(_declare(walls.url_of("setup")))
        yield walls
    finally:
        for role in roles.values():
            ask_management(vhost.management_url, "DELETE", f"/api/users/{quote(role.name, safe='')}")


async def _declare(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        await declare(connection)
        await declare(connection)
