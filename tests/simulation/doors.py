"""Two ways to a broker, the simulated one and a real one, for whoever wants to compare what they do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Protocol

from aio_pika.abc import AbstractConnection

from tests.places import Vhost
from tests.simulation.broker import Broker
from tests.simulation.declared import declare_topology
from tests.simulation.faults import Fault
from tests.simulation.loop import Loop
from tests.simulation.postgres import Postgres
from tests.simulation.process import Process, connect_simulated, open_simulated_channel, simulated_servers, track_tasks
from tests.simulation.world import World
from tests.site import eventually
from worker.broker.channel import Channel, open_channel
from worker.broker.connection import connect
from worker.broker.topology import declare


class Door(Protocol):
    def run(self, behaviour: "Behaviour") -> None: ...

    async def connect(self) -> AbstractConnection: ...

    async def open_channel(self, connection: AbstractConnection) -> Channel: ...

    async def declare_queue(self, name: str, arguments: dict[str, Any], bound_to: str | None = None) -> None:
        """Declare a queue, and have it get all that is published to that exchange."""

    async def has_ready(self, queue: str, count: int) -> None:
        """Wait until so many messages are ready in the queue."""


Behaviour = Callable[[Door], Awaitable[None]]


class RealDoor:
    def __init__(self, vhost: Vhost) -> None:
        self._vhost = vhost
        self._connections: list[AbstractConnection] = []

    def run(self, behaviour: Behaviour) -> None:
        async def run() -> None:
            self._own = await self.connect()
            try:
                await declare(self._own)
                await behaviour(self)
            finally:
                for connection in self._connections:
                    await connection.close()

        asyncio.run(run())

    async def connect(self) -> AbstractConnection:
        self._connections.append(await connect(self._vhost.amqp_url, "behaviour"))
        return self._connections[-1]

    async def open_channel(self, connection: AbstractConnection) -> Channel:
        return await open_channel(connection)

    async def declare_queue(self, name: str, arguments: dict[str, Any], bound_to: str | None = None) -> None:
        channel = await self._own.channel()
        queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"} | arguments)
        if bound_to is not None:
            await queue.bind(bound_to, "#")
        await channel.close()

    async def has_ready(self, queue: str, count: int) -> None:
        channel = await self._own.channel()

        async def is_so() -> bool:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count == count

        await eventually(is_so)
        await channel.close()


class SimulatedDoor:
    def run(self, behaviour: Behaviour) -> None:
        loop = Loop()
        track_tasks(loop)
        with simulated_servers(), asyncio.Runner(loop_factory=lambda: loop) as runner:
            world = World(loop, Random(1), NoFaults())  # noqa: S311 (no secret)
            broker = Broker(world)
            self._exchanges = broker.exchanges
            process = Process("behaviour", world, broker, Postgres(loop, "nowhere"))

            async def run() -> None:
                await declare_topology(self._exchanges)
                await process.run(_awaited(behaviour(self)))
                await process.end()

            runner.run(run())

    async def connect(self) -> AbstractConnection:
        return await connect_simulated()

    async def open_channel(self, connection: AbstractConnection) -> Channel:
        return await open_simulated_channel(connection)

    async def declare_queue(self, name: str, arguments: dict[str, Any], bound_to: str | None = None) -> None:
        self._exchanges.declare_queue(name, arguments)
        if bound_to is not None:
            self._exchanges.bind(name, bound_to, "#")

    async def has_ready(self, queue: str, count: int) -> None:
        async def is_so() -> bool:
            return len(self._exchanges.queues[queue].ready) == count

        await eventually(is_so)


class NoFaults:
    def fault(self, _number: int, _name: str, _menu: Sequence[Fault]) -> None:
        return None


async def _awaited(what: Awaitable[None]) -> None:
    await what
