"""A worker's process: the real App, on the simulated world, that can be killed at any step."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast
from unittest.mock import patch

from aio_pika.abc import AbstractConnection
from pydantic import SecretStr

from tests.simulation.broker import Broker, Connection
from tests.simulation.loop import Loop
from tests.simulation.postgres import Postgres
from tests.simulation.world import World
from worker.app import App
from worker.books import session
from worker.books.session import Session
from worker.broker.channel import Channel
from worker.broker.publisher import Publisher
from worker.settings import Settings

POLL_S = 60.0
"""How often simulated workers look for what nobody told them of. Each look costs real statements."""
TODAY = datetime(2026, 1, 15, 12, tzinfo=UTC)
SETTINGS = Settings(
    amqp_url=SecretStr("amqp://simulated"),
    database_url=SecretStr("postgresql://simulated"),
    audit_pause_s=0,
    batch_messages=2,  # so that batches overlap
)
_current: ContextVar["Process"] = ContextVar("process")


class Process:
    """Whatever runs in it is cancelled when it is killed, and does nothing to the world any more."""

    def __init__(self, name: str, world: World, broker: Broker, postgres: Postgres) -> None:
        self.name = name
        self.world = world
        self.broker = broker
        self.postgres = postgres
        self.tasks: dict[asyncio.Task[Any], None] = {}
        """In the order in which they began: a set's would be another one each time."""
        self.is_dead = False
        self._context = copy_context()
        self._context.run(_current.set, self)

    def run(self, what: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        return self.world.loop.create_task(what, context=self._context)

    def kill(self) -> None:
        """End it at once: what it has sent and not been done is lost, and both servers notice."""
        if self.is_dead:
            return
        self.is_dead = True
        self.world.note(f"{self.name}: killed")
        self.broker.abandon(self)
        self.postgres.abandon(self)
        for task in list(self.tasks):
            task.cancel()

    def stop(self) -> None:
        """Ask it to end in an orderly way."""

    async def end(self) -> None:
        """Wait until nothing runs in it any more; kill it first."""
        self.kill()
        while self.tasks:
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)


class WorkerProcess(Process):
    """Runs App as `payment-worker run` does."""

    def __init__(self, name: str, world: World, broker: Broker, postgres: Postgres) -> None:
        super().__init__(name, world, broker, postgres)
        self._app = App(SETTINGS, lambda: TODAY + timedelta(seconds=world.now_s))
        self.main = self.run(self._app.run())

    def stop(self) -> None:
        self.world.note(f"{self.name}: told to stop")
        self._app.stop()


def track_tasks(loop: Loop) -> None:
    """Let each task belong to the process in which it was created."""

    def create(
        loop: asyncio.AbstractEventLoop, what: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(what, loop=loop, context=context)
        process = _current.get(None) if context is None else context.get(_current)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(process.tasks.pop)
        return task

    loop.set_task_factory(create)  # type: ignore[arg-type]


@contextmanager
def simulated_servers() -> Iterator[None]:
    """Give the real worker the simulated servers, by whichever process asks."""
    places = {
        "worker.app.connect": connect_simulated,
        "worker.broker.replies.connect": connect_simulated,
        "worker.app.open_channel": open_simulated_channel,
        "worker.broker.publisher.open_channel": open_simulated_channel,
        "worker.app.Session": SimulatedSession,
        "worker.app.HealthServer": _NoHealthServer,
        "worker.undone.PENDING_POLL_S": POLL_S,
        "worker.relay.RELAY_POLL_S": POLL_S,
    }
    patches = [patch(name, what) for name, what in places.items()]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


async def connect_simulated(_url: str = "", _name: str = "") -> AbstractConnection:
    process = _current.get()
    return cast("AbstractConnection", await process.broker.connect(process))


async def open_simulated_channel(connection: AbstractConnection) -> Channel:
    return cast("Channel", await cast("Connection", connection).open_channel())


async def simulated_publisher() -> Publisher:
    """Return a publisher on a connection of its own, for whoever runs in a simulated process."""
    return Publisher(await connect_simulated())


class SimulatedSession(Session):
    async def _connect(self) -> session.Connection:
        process = _current.get()
        return cast("session.Connection", await process.postgres.connect(process))


class _NoHealthServer:
    port = 0

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
