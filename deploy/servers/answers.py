"""Whether a server answers, asked the way its users would."""

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import ProxyHandler, Request, build_opener

import aio_pika
import asyncpg

from deploy.servers.unavailable import Unavailable

ANSWER_TIMEOUT_S = 5.0
CHANGE_TIMEOUT_S = 60.0
START_TIMEOUT_S = 120.0
PAUSE_S = 0.1


def ask_database(url: str) -> None:
    """Log in once."""

    async def log_in() -> None:
        connection = await asyncpg.connect(url, timeout=ANSWER_TIMEOUT_S)
        await connection.close()

    run_apart(log_in)


def ask_amqp(url: str) -> None:
    """Log in once."""

    async def log_in() -> None:
        connection = await aio_pika.connect(url, timeout=ANSWER_TIMEOUT_S)
        await connection.close()

    run_apart(log_in)


def ask_management(
    url: str,
    method: str = "GET",
    path: str = "/api/overview",
    body: bytes | None = None,
    timeout_s: float = CHANGE_TIMEOUT_S,
) -> bytes:
    """Ask the RabbitMQ HTTP API; `url` carries user and password. Raises OSError when there is no good answer."""
    parts = urlsplit(url)
    login = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    where = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + path, "", ""))
    request = Request(where, data=body, method=method)  # noqa: S310 - the URL is the operator's own
    request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    request.add_header("Content-Type", "application/json")
    # Our servers are near; a proxy set for the world outside has no business here.
    with build_opener(ProxyHandler({})).open(request, timeout=timeout_s) as answer:
        return bytes(answer.read())


def await_answer(name: str, ask: Callable[[], object], ended: Callable[[], bool], log_tail: Callable[[], str]) -> None:
    """Ask until there is an answer. Raises Unavailable, with the end of the server's log, when none comes."""
    try:
        ask_again(ask, ended)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise Unavailable(f"{name} did not start ({error}); its log ends: {log_tail()}") from error


def ask_again(ask: Callable[[], object], ended: Callable[[], bool] = lambda: False) -> None:
    """Ask until a server does as it is told. Raises its last refusal once it has ended, or START_TIMEOUT_S are over."""
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            ask()
        except (OSError, asyncpg.PostgresError, TimeoutError, Unavailable):
            if ended() or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(PAUSE_S)


def run_apart(coroutine_of: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run in a thread of its own, since the caller's thread may have an event loop running."""
    with ThreadPoolExecutor(1) as apart:
        apart.submit(lambda: asyncio.run(coroutine_of())).result()
