"""The Postgres of a simulated world: the real one, behind a door at which the world says who is let through next."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from tests.simulation.connection import SimulatedConnection
from tests.simulation.faults import CONNECT, OUTAGES_S, Fault
from tests.simulation.loop import Loop
from tests.simulation.server_connection import SETTINGS, ServerConnection
from tests.simulation.world import Actor, World

TERMINATED_PERCENT = 3
"""How often the server's end of a lost connection is really ended; else its transaction is rolled back."""
WAITS = "SELECT WHERE cardinality(pg_blocking_pids($1)) > 0"


class Postgres:
    """The server, for one run after another."""

    world: World

    def __init__(self, loop: Loop, url: str) -> None:
        self._loop = loop
        self._url = url
        self._free: list[ServerConnection] = []
        self._connections: list[SimulatedConnection] = []
        self._monitor_lock = asyncio.Lock()
        self._is_asking = False
        self._outages: dict[Fault, float] = {}
        self.fails_on: Counter[str] = Counter()
        """How often more a payment's key makes the database fail when it is written alone."""
        loop.on_stall = self._on_stall

    async def start(self) -> None:
        self._loop.io_in_flight += 1
        self._monitor = await asyncpg.connect(self._url, server_settings=SETTINGS, max_cached_statement_lifetime=0)
        self._loop.io_in_flight -= 1

    async def close(self) -> None:
        self._loop.io_in_flight += 1
        await self._monitor.close()
        for server in self._free:
            await server.close()

    def begin(self, world: World, failures: Mapping[str, int]) -> None:
        """Serve another world."""
        assert not self._connections, "somebody is still connected"
        self.world = world
        self.fails_on = Counter(failures)
        self._outages.clear()

    @asynccontextmanager
    async def outside(self) -> AsyncIterator[asyncpg.Connection]:
        """Give a connection of nobody's in the world. Nothing happens there while it is used."""
        self._loop.io_in_flight += 1
        try:
            async with self._monitor_lock:
                yield self._monitor
        finally:
            self._loop.io_in_flight -= 1

    async def ask(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self.outside() as monitor:
            return await monitor.fetch(sql, *args)

    async def connect(self, actor: Actor) -> SimulatedConnection:
        """Raises OSError where the server is away."""
        fault = await self.world.turn(actor, "connect to Postgres", CONNECT)
        if fault is Fault.AWAY:
            self.go_away()
        if fault is Fault.CUT_BEFORE or self.is_out(Fault.AWAY):
            raise ConnectionRefusedError("nobody listens")
        server = self._free.pop() if self._free else await self._new()
        connection = SimulatedConnection(self, actor, server)
        self._connections.append(connection)
        if fault is Fault.KILL_AFTER:
            actor.kill()
        elif fault is Fault.CUT_AFTER:
            connection.abandon()
            raise ConnectionResetError("lost")
        return connection

    async def _new(self) -> ServerConnection:
        self._loop.io_in_flight += 1
        try:
            return await ServerConnection.open(self._url)
        finally:
            self._loop.io_in_flight -= 1

    # Outages

    def go_away(self) -> None:
        self.begin_outage(Fault.AWAY)
        for connection in list(self._connections):
            connection.abandon()

    def begin_outage(self, kind: Fault) -> None:
        self._outages[kind] = self.world.now_s + self.world.random.choice(OUTAGES_S)

    def is_out(self, kind: Fault) -> bool:
        return self.world.now_s < self._outages.get(kind, 0.0)

    # Ends of connections

    def abandon(self, actor: Actor) -> None:
        """End all connections of one who is no more."""
        for connection in [each for each in self._connections if each.actor is actor]:
            connection.abandon()

    def forget(self, connection: SimulatedConnection) -> None:
        """Let the server notice that a connection has ended, before anything else happens."""
        self._connections.remove(connection)
        server, running, unheard = connection.server, connection.running, connection.unheard
        if running is not None or self.world.happens(TERMINATED_PERCENT):
            self.world.do_now(self._terminate(server, [task for task in (running, unheard) if task is not None]))
        elif unheard is not None or server.has_work:
            self.world.do_now(self._roll_back(server, unheard))
        else:
            self._free.append(server)

    async def _terminate(self, server: ServerConnection, doing: "list[asyncio.Task[object]]") -> None:
        await self.ask("SELECT pg_terminate_backend($1)", server.pid)
        while await self.ask("SELECT FROM pg_stat_activity WHERE pid = $1", server.pid):
            pass  # the server's own wait for it looks only every 100 ms
        await asyncio.gather(*doing, return_exceptions=True)
        server.terminate()
        self.locks_released()

    async def _roll_back(self, server: ServerConnection, unheard: "asyncio.Task[object] | None") -> None:
        if unheard is not None:
            await unheard
        await server.give_back()
        self._free.append(server)
        self.locks_released()

    # Locks

    def locks_released(self) -> None:
        """Await the answers of those who wait for a lock, unless they still do."""
        for connection in self._connections:
            connection.unblock()

    def cancel(self, connection: SimulatedConnection) -> None:
        self.world.do_now(self.ask("SELECT pg_cancel_backend($1)", connection.server.pid))

    def _on_stall(self) -> None:
        if not self._is_asking and any(connection.is_running for connection in self._connections):
            self._is_asking = True
            self.world.do_now(self._ask_who_waits())

    async def _ask_who_waits(self) -> None:
        for connection in list(self._connections):
            if connection.is_running and await self.ask(WAITS, connection.server.pid):
                connection.block()
        self._is_asking = False
