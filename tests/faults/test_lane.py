"""How much a lane takes at a time, and how it waits: on a real queue, with a processor that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.site import Site, eventually
from worker.broker.channel import open_channel
from worker.broker.connection import connect
from worker.broker.delivery import Delivery
from worker.broker.intake import Intake
from worker.broker.publisher import Publisher
from worker.domain.errors import UnavailableError
from worker.lane import Lane
from worker.pipeline import Divert
from worker.turns import Turn

QUEUE = "payments.registrations"


class Server:
    """Stands in for the database: notes the batches that come, is away when told to be, and counts who asks for it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_away = False
        self.probes = 0

    async def process(self, batch: Sequence[Delivery], _divert: Divert, _turn: Turn) -> None:
        self.batches.append([str(delivery.properties.message_id) for delivery in batch])
        if self.is_away:
            raise UnavailableError("away")

    async def probe(self) -> None:
        self.probes += 1
        if self.is_away:
            raise UnavailableError("still away")

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@asynccontextmanager
async def lane(site: Site, server: Server) -> AsyncIterator[Lane]:
    connection = await connect(site.amqp_url, "test")
    intake = Intake(await open_channel(connection), QUEUE, 200)
    lane = Lane(intake, Publisher(connection), server, server.probe, 32)
    await intake.start()
    running: asyncio.Task[None] | None = None
    try:
        # All that is to be delivered has arrived before the lane begins: the answer to the pause comes after it.
        await eventually(lambda: site.has_delivered_all(QUEUE))
        await intake.pause()
        await intake.resume()
        running = asyncio.create_task(lane.run())
        yield lane
    finally:
        if running is not None:
            await intake.end()  # a cancellation alone may be swallowed by the driver, at the answer to a consume
            running.cancel()
            await asyncio.wait([running])
        await connection.close()


async def publish(site: Site, count: int) -> list[str]:
    keys = [f"k{number}" for number in range(count)]
    for key in keys:
        await site.pay(key=key)
    return keys


async def test_a_lane_begins_with_one_message_and_doubles_what_it_takes(site: Site) -> None:
    """So it begins after each new connection to the broker: lane and intake are new ones then."""
    await publish(site, 80)
    server = Server()
    async with lane(site, server):
        await eventually(lambda: have_come(server, 80))

    assert server.sizes == [1, 2, 4, 8, 16, 32, 17]


async def test_a_server_away_stops_the_lane_and_it_begins_small_with_what_it_held(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.outage.RECONNECT_DELAY_MAX_S", 0.2)
    keys = await publish(site, 40)
    server = Server()
    server.is_away = True
    async with lane(site, server) as waiting:
        await eventually(lambda: has_probed(server, 5))
        assert waiting.is_paused
        assert server.batches == [["k0"]], "while it is away the server is probed, and no message is tried on it"
        await site.pay(key="later")
        await eventually(lambda: site.holds(QUEUE, 1))  # its consumer is cancelled
        server.is_away = False
        await eventually(lambda: have_come(server, 1 + 40 + 1))
        await eventually(lambda: goes_on(waiting))

    assert server.sizes == [1, 1, 2, 4, 8, 16, 9, 1]
    assert [key for batch in server.batches[1:] for key in batch] == [*keys, "later"]


async def test_a_batch_in_hand_when_the_server_goes_is_tried_again_in_small_parts(site: Site) -> None:
    await publish(site, 40)

    class Leaving(Server):
        async def process(self, batch: Sequence[Delivery], divert: Divert, turn: Turn) -> None:
            self.is_away = len(self.batches) == 4
            await super().process(batch, divert, turn)

        async def probe(self) -> None:
            self.is_away = False

    server = Leaving()
    async with lane(site, server):
        await eventually(lambda: have_come(server, 40 + 16))

    assert server.sizes == [1, 2, 4, 8, 16, 1, 2, 4, 8, 1, 9], "the 16 in hand again, as 1, 2, 4, 8, 1"


@pytest.mark.parametrize("fails", ["before its locks", "after its locks"])
async def test_a_batch_that_is_cut_while_more_pile_up_loses_none_and_swaps_none(site: Site, fails: str) -> None:
    """Full batches are begun with ahead, and none while the parts of another one are at work."""
    keys = await publish(site, 31 + 3 * 32)
    done: list[str] = []
    ahead = 0

    class Overlapping(Server):
        async def process(self, batch: Sequence[Delivery], _divert: Divert, turn: Turn) -> None:
            nonlocal ahead
            ahead += turn.before is not None
            names = [str(delivery.properties.message_id) for delivery in batch]
            is_failing = "k31" in names and not any(delivery.attempts for delivery in batch)
            if fails == "after its locks" or not is_failing:
                turn.note_locked()
                await asyncio.sleep(0)  # the lane sees that before the batch is done
            if is_failing:
                raise ValueError("k31")
            await turn.may_end()
            done.extend(names)

    async def are_done() -> bool:
        return len(done) >= len(keys) - 1

    async with lane(site, Overlapping()):
        await eventually(are_done)

    assert done[: len(keys) - 1] == [key for key in keys if key != "k31"]
    assert ahead


async def test_what_went_to_a_retry_queue_does_not_speak_for_a_server_that_is_away(site: Site) -> None:
    """Until a message has come through the server counts as away, and no more than one is tried on it."""
    await publish(site, 7)
    paused: list[bool] = []

    class Leaving(Server):
        async def process(self, batch: Sequence[Delivery], divert: Divert, turn: Turn) -> None:
            paused.append(working.is_paused)
            if batch[0].properties.message_id == "k3" and not any(delivery.attempts for delivery in batch):
                self.batches.append(["failing"])
                raise ValueError("failing")
            self.is_away = len(self.batches) == 5
            await super().process(batch, divert, turn)

        async def probe(self) -> None:
            self.is_away = False

    server = Leaving()
    async with lane(site, server) as working:
        await eventually(lambda: have_come(server, 10))
        await eventually(lambda: goes_on(working))

    told = [["k0"], ["k1", "k2"], ["failing"], ["failing"], ["failing"], ["k4"], ["k4"], ["k5", "k6"]]
    assert server.batches[: len(told)] == told  # k3 comes again after 5 s
    assert paused[: len(told)] == [False] * 6 + [True, False]


async def test_messages_in_flight_at_two_crashes_are_taken_alone(site: Site) -> None:
    await publish(site, 20)
    for _ in range(2):
        crashing = await connect(site.amqp_url, "test")
        intake = Intake(await open_channel(crashing), QUEUE, 10)
        await intake.start()
        assert await intake.take(1)
        await crashing.close()
        await eventually(lambda: site.holds(QUEUE, 20))
    server = Server()
    async with lane(site, server):
        await eventually(lambda: have_come(server, 20))

    alone = [batch[0] for batch in server.batches if len(batch) == 1]
    assert {f"k{number}" for number in range(10)} <= set(alone), server.batches
    assert max(server.sizes) > 1


async def goes_on(lane: Lane) -> bool:
    return not lane.is_paused


async def have_come(server: Server, count: int) -> bool:
    return sum(server.sizes) >= count


async def has_probed(server: Server, times: int) -> bool:
    return server.probes >= times
