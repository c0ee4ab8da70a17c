"""The two servers as a command reaches them: the settings' URLs, checked before a driver gets to see and quote them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from worker.books.companies import read_policies
from worker.books.session import Connection, Session
from worker.domain.errors import PermanentError
from worker.domain.policy import Policy
from worker.settings import PREFIX, Settings, SettingsError, read_settings

_SCHEMES = {"amqp_url": ("amqp", "amqps"), "database_url": ("postgresql", "postgres")}
_EXAMPLES = {
    "amqp_url": "amqp://user:password@host:5672/vhost",
    "database_url": "postgresql://user:password@host:5432/database",
}


class NotFoundError(PermanentError):
    """What the command names is not in the books."""


def read_urls() -> tuple[Settings, str, str]:
    """Return the settings, the URL of RabbitMQ and the URL of Postgres. Raises SettingsError, which quotes neither."""
    settings = read_settings()
    return settings, _url(settings, "amqp_url"), _url(settings, "database_url")


def masked(url: str) -> str:
    """Return the URL without its password and without its query, which may hold one."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return urlunsplit((parts.scheme, f"{user}{':***' if colon else ''}{at}{host}", parts.path, "", ""))


@asynccontextmanager
async def books(command: str) -> AsyncIterator[Session]:
    """Give the block the books; the session shows under the command's name in the server's activity."""
    _, _, database_url = read_urls()
    async with Session(database_url, command) as session:
        yield session


async def policy_of(connection: Connection, company: str) -> Policy:
    """Return the company's policy. Raises NotFoundError."""
    policies = await read_policies(connection, [company])
    if company not in policies:
        raise NotFoundError(
            f"there is no company {company}: see `payment-worker companies list`, or create it with `companies put`"
        )
    return policies[company]


def _url(settings: Settings, name: str) -> str:
    url: str = getattr(settings, name).get_secret_value()
    try:
        parts = urlsplit(url)
        is_whole = url.startswith(f"{parts.scheme}://") and "@" not in parts.path + parts.query + parts.fragment
        is_sound = parts.scheme in _SCHEMES[name] and is_whole and ("," in parts.netloc or parts.port != 0)
    except ValueError:
        is_sound = False
    if not is_sound:
        raise SettingsError(
            f"{PREFIX}{name.upper()}: must be a URL such as {_EXAMPLES[name]}; "
            "in user and password, write characters such as / # ? @ as %2F %23 %3F %40"
        )
    return url
