"""What a simulated worker holds for an asyncpg connection: it lets through what the world lets happen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, NoReturn

import asyncpg

from tests.simulation.faults import COMMIT, ROLLBACK, STATEMENT, WRITE, Fault
from tests.simulation.server_connection import ServerConnection
from tests.simulation.world import Actor
from tests.statements import NAMES
from worker.limits import ANSWER_TIMEOUT_S, LOCK_TIMEOUT_MS

if TYPE_CHECKING:
    from tests.simulation.postgres import Postgres

_MESSAGE_ERRORS = {
    Fault.DEADLOCK: asyncpg.DeadlockDetectedError,
    Fault.SERIALIZATION: asyncpg.SerializationError,
    Fault.LOCK_TIMEOUT: asyncpg.LockNotAvailableError,
    Fault.CANCELLED: asyncpg.QueryCanceledError,
}
_OUTAGE_ERRORS = {Fault.READ_ONLY: asyncpg.ReadOnlySQLTransactionError, Fault.DISK_FULL: asyncpg.DiskFullError}

Effect = Callable[[], Awaitable[Any]]


class SimulatedConnection:
    """Stands in for an asyncpg connection, as far as the worker uses one."""

    def __init__(self, postgres: "Postgres", actor: Actor, server: ServerConnection) -> None:
        self.actor = actor
        self.server = server
        self.running: asyncio.Task[Any] | None = None
        self.unheard: asyncio.Task[Any] | None = None
        """What is being done although the worker does not wait for it any more."""
        self._postgres = postgres
        self._world = postgres.world
        self._is_closed = False
        self._is_blocked = False
        self._is_in_transaction = False
        self._has_failed = False
        """In this transaction: nothing but ROLLBACK is let through any more."""

    # What the worker calls

    def is_closed(self) -> bool:
        return self._is_closed

    def is_in_transaction(self) -> bool:
        return not self._is_closed and self._is_in_transaction

    def terminate(self) -> None:
        self.abandon()

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 (the driver's)
        del timeout
        self.abandon()

    async def fetch(self, sql: str, *args: Any) -> Any:
        return await self._statement(sql, args, lambda: self.server.fetch(sql, *args))

    async def fetchval(self, sql: str, *args: Any) -> Any:
        rows = await self.fetch(sql, *args)
        return rows[0][0] if rows else None

    async def execute(self, sql: str, *args: Any) -> Any:
        return await self._statement(sql, args, lambda: self.server.execute(sql, *args))

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Any:
        rows = list(rows)
        return await self._statement(sql, rows, lambda: self.server.executemany(sql, rows))

    def transaction(self) -> "SimulatedConnection":
        return self

    async def __aenter__(self) -> None:
        await self._do("BEGIN", STATEMENT, self._begin)

    async def __aexit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        if error_type is None:
            await self._do("COMMIT", COMMIT, lambda: self._end(self.server.commit))
        else:
            await self._do("ROLLBACK", ROLLBACK, lambda: self._end(self.server.roll_back))

    # What it comes to at the server

    async def _begin(self) -> None:
        await self.server.begin()
        self._is_in_transaction = True

    async def _end(self, end: Effect) -> None:
        await end()
        self._is_in_transaction = self._has_failed = False
        self._postgres.locks_released()

    async def _statement(self, sql: str, args: Sequence[Any], effect: Effect) -> Any:
        name = NAMES.get(sql, "a look whether it answers")
        writes = any(word in sql for word in ("INSERT ", "UPDATE ", "DELETE "))

        async def check_and_do() -> Any:
            if writes:
                self._fail_in_outages()
            if name == "write_batch":
                self._fail_on([payment.idempotency_key for payment in args[1]])
            answer = await effect()
            if writes and not self._is_in_transaction:
                await self.server.commit()
            return answer

        return await self._do(name, WRITE if writes else STATEMENT, check_and_do)

    def _fail_in_outages(self) -> None:
        for kind, error in _OUTAGE_ERRORS.items():
            if self._postgres.is_out(kind):
                raise error(f"simulated: {kind}")

    def _fail_on(self, written: Sequence[str]) -> None:
        """Fail where one of the keys is to make the database fail, and count it for the one that is alone."""
        fails_on = self._postgres.fails_on
        keys = [key for key in written if fails_on[key] > 0]
        if keys:
            fails_on.subtract(keys if len(written) == 1 else ())
            raise asyncpg.DataError("simulated: what nobody has thought of")

    # When it is its turn

    async def _do(self, name: str, menu: Sequence[Fault], effect: Effect) -> Any:
        if self._is_closed:
            raise asyncpg.InterfaceError("connection is closed")
        if self._has_failed and name != "ROLLBACK":
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        fault = await self._turn(name, menu, effect)
        if self._is_closed:
            self._raise_lost()
        try:
            await self._meet(fault)
            answer = await self._run(effect)
        except asyncpg.PostgresError:
            if name == "COMMIT" and not self._is_closed:
                await self._run(lambda: self._end(self.server.roll_back))  # one that fails ends its transaction too
            self._has_failed = self._is_in_transaction
            raise
        if fault is Fault.KILL_AFTER:
            self.actor.kill()
        elif fault is Fault.CUT_AFTER:
            self.abandon()
            self._raise_lost()
        return answer

    async def _turn(self, name: str, menu: Sequence[Fault], effect: Effect) -> Fault | None:
        try:
            return await self._world.turn(self.actor, name, menu)
        except asyncio.CancelledError:
            # Another statement could wait for a lock, and with it the whole world: nobody would know of it.
            if name == "COMMIT" and not self._is_closed and self._world.happens(50):
                self._world.note(f"{self.actor.name}: {name} is done, though nobody waits for it any more")
                self.unheard = self._world.do_now(self._do_unheard(effect))
            raise

    async def _meet(self, fault: Fault | None) -> None:
        """Fail as the fault says, before anything has been done."""
        match fault:
            case Fault.DEADLOCK | Fault.SERIALIZATION | Fault.LOCK_TIMEOUT | Fault.CANCELLED:
                raise _MESSAGE_ERRORS[fault](f"simulated: {fault}")
            case Fault.READ_ONLY | Fault.DISK_FULL:
                self._postgres.begin_outage(fault)
            case Fault.CUT_BEFORE:
                self.abandon()
                self._raise_lost()
            case Fault.SHUTDOWN:
                self.abandon()
                raise asyncpg.AdminShutdownError("terminating connection due to administrator command")
            case Fault.AWAY:
                self._postgres.go_away()
                self._raise_lost()
            case Fault.NO_ANSWER:
                await asyncio.sleep(ANSWER_TIMEOUT_S)
                raise TimeoutError

    def _raise_lost(self) -> NoReturn:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def _run(self, effect: Effect) -> Any:
        """Do it on the server. Where that waits for a lock, others go on meanwhile."""
        loop = self._world.loop
        loop.io_in_flight += 1
        self.running = loop.create_task(_awaited(effect), context=Context())
        self._has_waited = False
        try:
            return await asyncio.shield(self.running)
        except asyncio.CancelledError:
            self.abandon()
            raise
        except asyncpg.QueryCanceledError as error:
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout") from error
        finally:
            if not self._is_blocked:
                loop.io_in_flight -= 1
            self._is_blocked = False
            self.running = None
            if self._has_waited and not self._is_closed:
                await self._world.turn(self.actor, "goes on, after a lock", (), is_late=True)

    async def _do_unheard(self, effect: Effect) -> None:
        try:
            await effect()
        except asyncpg.PostgresError as error:
            self._world.note(f"{self.actor.name}: it failed: {error}")
        self.unheard = None

    # Waiting for locks

    @property
    def is_running(self) -> bool:
        """True while the server works on a statement of it, and does not wait."""
        return self.running is not None and not self.running.done() and not self._is_blocked

    def block(self) -> None:
        """Count as waiting for a lock: until one is released, or for as long as the worker waits for one."""
        if self.is_running:
            self._is_blocked = self._has_waited = True
            self._world.loop.io_in_flight -= 1
            self._world.note(f"{self.actor.name}: waits for a lock")
            self._world.loop.call_later(LOCK_TIMEOUT_MS / 1000, self._time_out, self.running)

    def unblock(self) -> None:
        if self._is_blocked:
            self._is_blocked = False
            self._world.loop.io_in_flight += 1

    def _time_out(self, running: "asyncio.Task[Any] | None") -> None:
        if running is not None and self.running is running and not running.done():
            self.unblock()
            self._postgres.cancel(self)

    def abandon(self) -> None:
        """End the connection, from either side."""
        if not self._is_closed:
            self._is_closed = True
            self._postgres.forget(self)


async def _awaited(effect: Effect) -> Any:
    return await effect()
