"""The two servers as a command reaches them: the settings' URLs, checked before a driver gets to see and quote them."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from worker.books.companies import read_policies
from worker.books.session import Connection, Session
from worker.broker.connection import nodes_of
from worker.domain.errors import PermanentError
from worker.domain.policy import Policy
from worker.settings import PREFIX, Settings, SettingsError, UrlName, read_settings
from worker.settings import read_url as read_one_url

_SCHEMES: Mapping[UrlName, Collection[str]] = {
    "amqp_url": ("amqp", "amqps"),
    "database_url": ("postgresql", "postgres"),
}
_EXAMPLES: Mapping[UrlName, str] = {
    "amqp_url": "amqp://user:password@host:5672/vhost",
    "database_url": "postgresql://user:password@host:5432/database",
}


class NotFoundError(PermanentError):
    """What the command names is not in the books."""


def read_urls() -> tuple[Settings, str, str]:
    """Return the settings, the URL of RabbitMQ and the URL of Postgres. Raises SettingsError, which quotes neither."""
    settings = read_settings()
    amqp_url, database_url = settings.amqp_url.get_secret_value(), settings.database_url.get_secret_value()
    return settings, _sound("amqp_url", amqp_url), _sound("database_url", database_url)


def read_url(name: UrlName) -> str:
    """Return one of the two URLs, for a command that needs nothing else. Raises SettingsError, which quotes it not."""
    return _sound(name, read_one_url(name))


def masked(url: str) -> str:
    """Return the URL without its password and without its query, which may hold one; so with each node of a broker."""
    return ", ".join(map(_masked, nodes_of(url)))


def _masked(url: str) -> str:
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return urlunsplit((parts.scheme, f"{user}{':***' if colon else ''}{at}{host}", parts.path, "", ""))


@asynccontextmanager
async def books(command: str) -> AsyncIterator[Session]:
    """Give the block the books; the session shows under the command's name in the server's activity."""
    async with Session(read_url("database_url"), command) as session:
        yield session


async def policy_of(connection: Connection, company: str) -> Policy:
    """Return the company's policy. Raises NotFoundError."""
    policies = await read_policies(connection, [company])
    if company not in policies:
        raise NotFoundError(
            f"there is no company {company}: see `payment-worker companies list`, or create it with `companies put`"
        )
    return policies[company]


def _sound(name: UrlName, url: str) -> str:
    if not all(_is_sound(node, name) for node in nodes_of(url)):
        raise SettingsError(
            f"{PREFIX}{name.upper()}: must be a URL such as {_EXAMPLES[name]}; "
            "in user and password, write characters such as / # ? @ as %2F %23 %3F %40"
        )
    return url


def _is_sound(url: str, name: UrlName) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = url.startswith(f"{parts.scheme}://") and "@" not in parts.path + parts.query + parts.fragment
        # Postgres' driver takes what stands after the first @ for the host.
        is_split = parts.netloc.count("@") <= 1 or name != "database_url"
        is_address = "," in parts.netloc or parts.port != 0
        return parts.scheme in _SCHEMES[name] and is_whole and is_split and is_address and url.isprintable()
    except ValueError:
        return False
