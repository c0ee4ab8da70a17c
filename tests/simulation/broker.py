"""A RabbitMQ for simulated workers, as they see it through worker.broker.channel.

Frames of a channel arrive in their order. What has been sent and has not arrived when a connection ends is lost; what
was delivered and not acknowledged goes back to where it stood. test_broker_behaviour.py holds it against a real one.
"""

from tests.simulation.channel import Channel
from tests.simulation.faults import CONNECT, OUTAGES_S, Fault
from tests.simulation.queues import Exchanges
from tests.simulation.world import Actor, World
from worker.domain.errors import LinkLostError


class Broker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.exchanges = Exchanges(world.loop.call_later, lambda: world.now_s, self._deliver_soon)
        self.connections: list[Connection] = []
        self._away_until_s = 0.0

    async def connect(self, actor: Actor) -> "Connection":
        """Raises LinkLostError."""
        fault = await self.world.turn(actor, "connect to RabbitMQ", CONNECT)
        if fault is Fault.AWAY:
            self.go_away()
        if fault is Fault.CUT_BEFORE or self.world.now_s < self._away_until_s:
            raise LinkLostError("connecting to RabbitMQ: refused")
        connection = Connection(self, actor)
        if fault is Fault.KILL_AFTER:
            actor.kill()
        elif fault is Fault.CUT_AFTER:
            connection.cut("cut")
            raise LinkLostError("connecting to RabbitMQ: lost")
        return connection

    def go_away(self) -> None:
        self._away_until_s = self.world.now_s + self.world.random.choice(OUTAGES_S)
        for connection in list(self.connections):
            connection.cut("the broker went away")

    def abandon(self, actor: Actor) -> None:
        """Lose the connections of one who is no more."""
        for connection in [each for each in self.connections if each.actor is actor]:
            connection.cut("the worker died")

    def _deliver_soon(self) -> None:
        for connection in self.connections:
            for channel in connection.channels:
                channel.offer_delivery()


class Connection:
    """Stands in for worker.broker.link.Link."""

    is_blocked = False

    def __init__(self, broker: Broker, actor: Actor) -> None:
        self.broker = broker
        self.actor = actor
        self.channels: list[Channel] = []
        self.is_closed = False
        broker.connections.append(self)

    async def open_channel(self) -> Channel:
        """Stands in for worker.broker.channel.open_channel. Raises LinkLostError."""
        if self.is_closed:
            raise LinkLostError("opening a channel: the connection is closed")
        channel = Channel(self)
        self.channels.append(channel)
        await channel.call("open a channel", lambda: None)
        return channel

    async def close(self) -> None:
        """Let what has been sent arrive, then end."""
        try:
            for channel in list(self.channels):
                await channel.close()
        finally:
            self.cut("closed by the worker")

    def cut(self, why: str) -> None:
        """End at once: what is on its way is lost."""
        if not self.is_closed:
            self.is_closed = True
            self.broker.connections.remove(self)
            for channel in list(self.channels):
                channel.end(why)
