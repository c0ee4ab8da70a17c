"""The simulated broker does as the real one does, in all that workers rely on."""

import asyncio

import pytest
from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic

from schemas.catalog import DEAD_LETTERS_QUEUE, OUTCOMES, PAYMENTS, REGISTRATIONS_QUEUE
from tests.simulation.doors import Door, RealDoor, SimulatedDoor
from tests.site import DEADLINE_S
from worker.broker.delivery import Delivery
from worker.broker.diversion import read_dead_letter
from worker.broker.intake import Intake
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.topology import RETRY_RETURN
from worker.domain.errors import DeadLetterReason, LinkLostError, UnavailableError

LIMIT = {"x-delivery-limit": 100}


@pytest.fixture(params=["simulated", "real"])
def door(request: pytest.FixtureRequest) -> Door:
    return RealDoor(request.getfixturevalue("vhost")) if request.param == "real" else SimulatedDoor()


def message(name: str, *, exchange: str = PAYMENTS, routing_key: str = "registration.acme") -> Publication:
    return Publication(exchange, routing_key, name.encode(), Basic.Properties(message_id=name, delivery_mode=2))


async def publish(door: Door, *names: str) -> None:
    connection = await door.connect()
    assert await Publisher(connection).publish([message(name) for name in names]) == [True] * len(names)
    await connection.close()


async def consume(
    door: Door, connection: AbstractConnection, queue: str = REGISTRATIONS_QUEUE, prefetch: int = 100
) -> Intake:
    intake = Intake(await door.open_channel(connection), queue, prefetch)
    await intake.start()
    return intake


async def take(intake: Intake, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(taken) < count:
            taken += await intake.take(100)
    return taken


def names(deliveries: list[Delivery]) -> list[str]:
    return [delivery.body.decode() for delivery in deliveries]


def test_messages_are_delivered_in_their_order_and_as_they_were_sent(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        await publish(door, "a", "b", "c")
        taken = await take(await consume(door, await door.connect()), 3)
        assert [delivery.tag for delivery in taken] == [1, 2, 3]
        assert names(taken) == ["a", "b", "c"] == [delivery.properties.message_id for delivery in taken]
        assert {delivery.routing_key for delivery in taken} == {"registration.acme"}
        assert {delivery.redeliveries for delivery in taken} == {0}

    door.run(behaviour)


def test_no_more_is_delivered_than_the_prefetch_until_something_is_acknowledged(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        intake = await consume(door, await door.connect(), prefetch=2)
        await publish(door, "a", "b", "c", "d")
        first = await take(intake, 2)
        await door.has_ready(REGISTRATIONS_QUEUE, 2)
        await intake.acknowledge(first)
        assert names(await take(intake, 2)) == ["c", "d"]

    door.run(behaviour)


def test_an_acknowledgement_stands_for_all_before_it_and_the_rest_comes_again_in_order(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        await publish(door, "a", "b", "c", "d")
        connection = await door.connect()
        intake = await consume(door, connection)
        taken = await take(intake, 4)
        await intake.acknowledge(taken[:2])
        await connection.close()
        await door.has_ready(REGISTRATIONS_QUEUE, 2)
        await publish(door, "e")
        again = await take(await consume(door, await door.connect()), 3)
        assert names(again) == ["c", "d", "e"]
        assert [delivery.redeliveries for delivery in again] == [1, 1, 0]

    door.run(behaviour)


def test_a_closed_channel_returns_what_it_held_and_takes_no_acknowledgement_any_more(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        await publish(door, "a")
        connection = await door.connect()
        channel = await door.open_channel(connection)
        intake = Intake(channel, REGISTRATIONS_QUEUE, 100)
        await intake.start()
        taken = await take(intake, 1)
        await channel.close()
        await intake.acknowledge(taken)
        with pytest.raises(LinkLostError):
            await intake.take(1)
        assert names(await take(await consume(door, connection), 1)) == ["a"]

    door.run(behaviour)


def test_an_acknowledgement_of_nothing_delivered_ends_the_channel(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        channel = await door.open_channel(await door.connect())
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        channel.on_lost(lost.set_result)
        channel.acknowledge(7)
        async with asyncio.timeout(DEADLINE_S):
            await lost

    door.run(behaviour)


def test_a_consumer_that_is_cancelled_gets_nothing_more_and_one_begun_anew_counts_its_tags_on(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        intake = await consume(door, await door.connect())
        await publish(door, "a")
        first = await take(intake, 1)
        await intake.pause()
        await publish(door, "b")
        await door.has_ready(REGISTRATIONS_QUEUE, 1)
        second = await take(intake, 1)
        assert [delivery.tag for delivery in first + second] == [1, 2]

    door.run(behaviour)


def test_what_is_rejected_becomes_a_dead_letter_of_the_broker(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        await publish(door, "a", "b")
        connection = await door.connect()
        intake = await consume(door, connection)
        taken = await take(intake, 2)
        await intake.reject(taken[0])
        await intake.acknowledge(taken)
        (letter,) = await take(await consume(door, connection, DEAD_LETTERS_QUEUE), 1)
        assert names([letter]) == ["a"]
        assert letter.headers["x-death"][0]["reason"] == "rejected"
        assert letter.headers["x-first-death-queue"] == REGISTRATIONS_QUEUE
        read = read_dead_letter(letter)
        assert (read.reason, read.body, read.properties["headers"]) == (DeadLetterReason.INVALID, b"a", {})
        await door.has_ready(REGISTRATIONS_QUEUE, 0)

    door.run(behaviour)


def test_what_no_queue_takes_is_told_and_hurts_no_other(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        publisher = Publisher(await door.connect())
        published = [
            message("a"),
            message("b", exchange="", routing_key="gone"),
            message("c", routing_key="registration.acme.more"),
            message("d"),
        ]
        assert await publisher.publish_each(published) == [True, False, False, True]
        await door.has_ready(REGISTRATIONS_QUEUE, 2)

    door.run(behaviour)


def test_an_exchange_that_is_missing_costs_the_channel_and_not_the_connection(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        publisher = Publisher(await door.connect())
        with pytest.raises(UnavailableError):
            await publisher.publish([message("a", exchange="missing")])
        assert await publisher.publish([message("b")]) == [True]

    door.run(behaviour)


def test_a_queue_that_is_missing_cannot_be_consumed(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        with pytest.raises(LinkLostError):
            await consume(door, await door.connect(), "missing")

    door.run(behaviour)


def test_what_has_waited_in_a_retry_queue_comes_back_under_its_routing_key(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        waiting = LIMIT | {"x-message-ttl": 50, "x-dead-letter-exchange": RETRY_RETURN}
        await door.declare_queue("waiting", waiting, bound_to=OUTCOMES)
        connection = await door.connect()
        intake = await consume(door, connection)
        copies = [message("a", exchange=OUTCOMES), message("b", exchange=OUTCOMES)]
        assert await Publisher(connection).publish(copies) == [True, True]
        taken = await take(intake, 2)
        assert sorted(names(taken)) == ["a", "b"]
        for delivery in taken:
            assert delivery.routing_key == "registration.acme"
            assert [(death["reason"], death["queue"]) for death in delivery.headers["x-death"]] == [
                ("expired", "waiting")
            ]
            assert delivery.redeliveries == 0

    door.run(behaviour)


def test_a_message_that_came_back_too_often_is_given_up(door: Door) -> None:
    async def behaviour(door: Door) -> None:
        limited = {"x-delivery-limit": 1, "x-dead-letter-exchange": "payments.dead-letter"}
        await door.declare_queue("limited", limited)
        connection = await door.connect()
        assert await Publisher(connection).publish([message("a", exchange="", routing_key="limited")]) == [True]
        for redeliveries in (0, 1):
            channel = await door.open_channel(connection)
            intake = Intake(channel, "limited", 10)
            await intake.start()
            (delivery,) = await take(intake, 1)
            assert delivery.redeliveries == redeliveries
            await channel.close()
        (letter,) = await take(await consume(door, connection, DEAD_LETTERS_QUEUE), 1)
        assert read_dead_letter(letter).reason is DeadLetterReason.DELIVERY_LIMIT

    door.run(behaviour)
