"""A held connection to Postgres for whatever works on its own, and what its failures mean for the message in hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import asyncpg

from worker.books.unreachable import unreachable
from worker.domain.errors import ContendedError, LockTimeoutError, TransientError, UnavailableError
from worker.limits import (
    CLOSE_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    IDLE_IN_TRANSACTION_TIMEOUT_MS,
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
)

Connection: TypeAlias = "asyncpg.Connection[Any]"

_CONTENDED = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    # A batch that books a payment and cancels it refers to a row that it does not write, if another books it first.
    asyncpg.ForeignKeyViolationError,
)
_AWAY_CLASSES = ("08", "25", "28", "3D", "42", "53", "57", "58", "F0", "XX")
"""SQLSTATE classes that speak of the server, the login or the schema and not of a message: connection, read-only,
credentials, no such database, missing table or right, out of disk or connections, shutdown, I/O, damage."""


LOOKUPS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
"""Settings for a session whose statements all look a few rows up by an index. Postgres keeps a plan for as long as the
connection lives, and one made while a table was empty would read all of it for every payment once it has grown.

It would read an index from end to end too, so the statements give it no reason to: they join by `= ANY (ARRAY[…])`
instead of `=`, and what else they ask of a column that an index has behind others is `(…) IS TRUE`.
"""


class Session:
    """A connection that is opened when needed, kept, and thrown away after a failure that leaves it in doubt.

    answer_timeout_s bounds the wait for each answer of the server, of which a dead network would bring none for ever.
    settings are the server's own, such as LOOKUPS.
    """

    def __init__(
        self,
        dsn: str,
        lane: str,
        answer_timeout_s: float | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._dsn = dsn
        self._lane = lane
        self._answer_timeout_s = answer_timeout_s
        self._settings = settings
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, if there is one, within a moment."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=CLOSE_TIMEOUT_S)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    def drop(self) -> None:
        """Give the connection up at once, whatever is being done on it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Connection]:
        """Run the block in a transaction. The options are asyncpg's: isolation, readonly, deferrable.

        Raises UnavailableError where the server is away: also where a COMMIT went out and its answer did not come, so
        that what was decided has to be looked up under its keys. TransientError where trying again may help.
        """
        async with self.connection() as connection:
            if connection.is_in_transaction():
                self.drop()  # of somebody who has not ended yet: in it this one would be a savepoint, committed nowhere
                raise UnavailableError("Postgres: the connection is still in a transaction that was given up")
            async with connection.transaction(**options):
                try:
                    yield connection
                except (TimeoutError, asyncio.CancelledError):
                    connection.terminate()  # else it would wait as long again, for the answer to its ROLLBACK
                    raise

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Give the block the connection, outside of a transaction. Raises as transaction() does."""
        try:
            yield await self._connected()
        except asyncpg.QueryCanceledError as error:
            raise TransientError(_told(error)) from error
        except asyncpg.LockNotAvailableError as error:
            raise LockTimeoutError(_told(error)) from error
        except _CONTENDED as error:
            raise ContendedError(_told(error)) from error
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self._raise_if_cancelled(error)
            if isinstance(error, ValueError) or (isinstance(error, asyncpg.InterfaceError) and self._is_open()):
                raise  # what the driver refuses to send, such as a number too large: no outage, the connection is sound
            self.drop()
            raise UnavailableError(f"Postgres cannot be reached: {unreachable(error)}") from error
        except asyncpg.PostgresError as error:
            if str(error.sqlstate).startswith(_AWAY_CLASSES):
                self.drop()
                lacking = "; `payment-worker doctor` says what lacks" if str(error.sqlstate).startswith("42") else ""
                raise UnavailableError(f"Postgres refuses to work: {_told(error)}{lacking}") from error
            raise
        except BaseException as error:
            # Cancelled in the middle of something: a BEGIN whose answer has not come may have been done, unknown to the
            # driver, and what comes after it would be committed nowhere.
            if not isinstance(error, Exception) or self._is_in_transaction():
                self.drop()
            raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> Connection:
        try:
            return await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=self._answer_timeout_s,
                server_settings={
                    "application_name": f"payment-worker {self._lane}",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                    "timezone": "UTC",
                    **self._settings,
                },
            )
        except (ValueError, asyncpg.ConnectionDoesNotExistError) as error:
            raise UnavailableError(f"Postgres cannot be reached: {unreachable(error)}") from error

    def _raise_if_cancelled(self, error: BaseException) -> None:
        """Let a cancellation through that the driver, rolling back, has covered with an error of its own."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            self.drop()
            raise asyncio.CancelledError from error

    def _is_in_transaction(self) -> bool:
        return self._connection is not None and self._connection.is_in_transaction()

    def _is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()


def _told(error: asyncpg.PostgresError) -> str:
    # The server's detail line quotes the row, so only its message and code are told on.
    return f"{error.args[0] if error.args else type(error).__name__} (SQLSTATE {error.sqlstate})"
