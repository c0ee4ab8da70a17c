"""The only place that wires: settings to connections, connections to lanes, signals to an orderly end."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aio_pika.abc import AbstractConnection

from schemas.catalog import DEAD_LETTERS_QUEUE, INVOICES_QUEUE, REGISTRATIONS_QUEUE
from worker import memory
from worker.auditor import Auditor
from worker.backlog import Backlog
from worker.books.session import LOOKUPS, Session
from worker.broker.channel import open_channel
from worker.broker.connection import close, connect
from worker.broker.intake import Intake
from worker.broker.publisher import Publisher
from worker.broker.replies import Replies
from worker.domain.errors import DeadlineError, LinkLostError
from worker.domain.view import Moment
from worker.health import Health, HealthServer
from worker.lane import Lane, Processor
from worker.limits import (
    ANSWER_TIMEOUT_S,
    BEAT_S,
    CLOSE_TIMEOUT_S,
    RECONNECT_DELAY_MAX_S,
)
from worker.outage import Backoff
from worker.pipeline import DeadLetters, Invoices, Registrations
from worker.relay import Relay
from worker.settings import Settings
from worker.telemetry import OUTAGES, READY, log, tell_unhandled
from worker.undone import Undone


class App:
    """A worker process. run() returns after stop(); a broker that is away is waited for. now: the clock, in UTC."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._now = now
        self._is_late = False
        self._stopping = asyncio.Event()
        self._health = Health(waiting_for=self.waiting_for)
        self._lanes: list[Lane] = []
        dsn = settings.database_url.get_secret_value()
        self._sessions = {name: Session(dsn, name, ANSWER_TIMEOUT_S, LOOKUPS) for name in _SESSIONS}
        self._sessions["audit"] = Session(dsn, "audit", ANSWER_TIMEOUT_S)
        self._replies = Replies(settings.amqp_url.get_secret_value(), "payment-worker replies")
        self._backlog = Backlog()
        self._relay = Relay(self._sessions["relay"], self._replies, self._backlog)
        self._undone = Undone(self._sessions["pending"], self._backlog, self._clock)
        self._auditor = Auditor(self._sessions["audit"], settings.audit_pause_s)

    def stop(self) -> None:
        """Begin the orderly end: nothing more is taken, what is in hand is finished."""
        log.info("stopping")
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped. Raises DeadlineError where that left something unfinished."""
        backoff = Backoff()
        with HealthServer(self._health, self._settings.http_host, self._settings.http_port) as server:
            log.info("started", http_port=server.port, pid=os.getpid())
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(self._close)
                beat = asyncio.create_task(self._beat())
                stack.callback(beat.cancel)
                if self._settings.audit_pause_s:
                    await stack.enter_async_context(self._auditor.running())
                while not self._stopping.is_set():
                    try:
                        await self._run_linked(backoff)
                    except LinkLostError as error:
                        OUTAGES.labels("connection").inc()
                        log.warning("broker away", error=str(error))
                        await self._unless_stopped(backoff.wait())
        if self._is_late:
            text = f"not all in hand was finished {self._settings.shutdown_deadline_s:g} s after the signal to stop"
            raise DeadlineError(f"{text}: nothing is lost, it will be delivered again")
        log.info("stopped")

    async def _close(self) -> None:
        await asyncio.gather(self._replies.close(), *(session.close() for session in self._sessions.values()))

    async def _run_linked(self, backoff: Backoff) -> None:
        """Work on one connection to the broker until it is lost (LinkLostError) or the worker is stopped."""
        async with self._link("consumes") as connection, self._link("publishes") as outgoing:
            intakes = [await self._intake(connection, queue) for queue in _QUEUES]
            processors = zip(intakes, _LANES, self._processors(), strict=True)
            lanes = [
                Lane(intake, Publisher(outgoing), processor, self._probe(name), self._settings.batch_messages)
                for intake, name, processor in processors
            ]
            began = time.monotonic()
            try:
                for intake in intakes:
                    await intake.start()
                self._lanes = lanes
                log.info("taking messages")
                await self._work(intakes, Publisher(outgoing))
            finally:
                self._lanes = []
                if time.monotonic() - began > RECONNECT_DELAY_MAX_S:
                    backoff.reset()

    @contextlib.asynccontextmanager
    async def _link(self, what_it_does: str) -> AsyncIterator[AbstractConnection]:
        """Connect to the broker: once to consume, once to publish.

        Short of memory or disk, the broker reads nothing more from a connection that publishes, and then should still
        get the acknowledgements.
        """
        name = f"payment-worker {socket.gethostname()} {os.getpid()} {what_it_does}"
        connection = await connect(self._settings.amqp_url.get_secret_value(), name)
        try:
            yield connection
        finally:
            await close(connection)

    async def _work(self, intakes: list[Intake], publisher: Publisher) -> None:
        """Run lanes, relay and the look at undone payments; the first that fails ends all."""
        lanes = [asyncio.create_task(lane.run(), name=f"lane {index}") for index, lane in enumerate(self._lanes)]
        relay = asyncio.create_task(self._relay.run(publisher), name="relay")
        pending = asyncio.create_task(self._undone.run(), name="pending")
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        tasks: list[asyncio.Task[Any]] = [*lanes, relay, pending, stopping]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                async with asyncio.timeout(self._settings.shutdown_deadline_s):
                    await self._drain(intakes, lanes, relay, pending)
            for task in (*lanes, relay, pending):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        except TimeoutError:
            self._is_late = True
            log.warning("deadline passed: what is unfinished will be delivered again")
        finally:
            for task in tasks:
                task.cancel()
            _, unended = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
            if unended:  # the lanes to come must not meet them on a connection
                for name in _SESSIONS:
                    self._sessions[name].drop()
            await self._relay.clear()

    async def _drain(
        self,
        intakes: list[Intake],
        lanes: list[asyncio.Task[None]],
        relay: asyncio.Task[None],
        pending: asyncio.Task[None],
    ) -> None:
        """Cancel the consumers, finish what has been delivered, publish what has been booked."""
        pending.cancel()
        for intake in intakes:
            await intake.end()
        working = set(lanes)
        while working and not relay.done():  # without the relay a lane may wait for room in the outbox for ever
            await asyncio.wait({*working, relay}, return_when=asyncio.FIRST_COMPLETED)
            working = {lane for lane in working if not lane.done()}
        self._relay.end()
        await asyncio.wait([relay])

    async def _intake(self, connection: AbstractConnection, queue: str) -> Intake:
        return Intake(await open_channel(connection), queue, self._settings.prefetch_messages)

    def _processors(self) -> tuple[Processor, Processor, Processor]:
        sessions = (self._sessions["registrations"], self._sessions["ahead"])
        return (
            Registrations(sessions, self._backlog, self._clock),
            Invoices(self._sessions["invoices"], self._clock),
            DeadLetters(self._sessions["dead-letters"]),
        )

    def _probe(self, name: str) -> Callable[[], Awaitable[None]]:
        """Return what asks the database whether it answers, on the lane's own connection.

        A second one that the lane has is given up, and opened anew when it is needed.
        """

        async def probe() -> None:
            if name == "registrations":
                self._sessions["ahead"].drop()
            async with self._sessions[name].connection() as connection:
                await connection.fetchval("SELECT 1")

        return probe

    async def _beat(self) -> None:
        while True:
            self._health.beat()
            READY.set(0 if self.waiting_for() else 1)
            await asyncio.sleep(BEAT_S)

    def waiting_for(self) -> list[str]:
        """Return what keeps the worker from taking messages; nothing when it is ready."""
        if self._stopping.is_set():
            return ["the end"]
        missing = [] if self._lanes else ["RabbitMQ"]
        if self._relay.is_waiting or any(lane.is_paused for lane in self._lanes):
            missing.append("a server that is away")
        if self._backlog.is_full:
            missing.append("outcomes that are not taken")
        return missing

    def _clock(self) -> Moment:
        return Moment(self._now(), self._settings.zone)

    async def _unless_stopped(self, waiting: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


_QUEUES = (REGISTRATIONS_QUEUE, INVOICES_QUEUE, DEAD_LETTERS_QUEUE)
_LANES = ("registrations", "invoices", "dead-letters")
_SESSIONS = (*_LANES, "ahead", "relay", "pending")


def run(settings: Settings) -> None:
    """Run a worker in this process until SIGTERM or SIGINT."""
    memory.tune()
    import uvloop  # noqa: PLC0415 (only a worker needs it, and commands start faster without)

    uvloop.run(_run_until_signalled(settings))


async def _run_until_signalled(settings: Settings) -> None:
    app = App(settings)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(tell_unhandled)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    await app.run()
