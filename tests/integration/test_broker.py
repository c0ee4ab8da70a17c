"""The broker's side by itself: what is declared, what is confirmed, what comes in and in which cuts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aio_pika.abc import AbstractConnection
from pamqp.commands import Basic

from tests.places import Vhost
from tests.site import DEADLINE_S, eventually
from worker.broker.channel import open_channel
from worker.broker.connection import connect
from worker.broker.delivery import Delivery
from worker.broker.intake import Intake
from worker.broker.properties import believed, copied, copyable, from_json, restored, to_json
from worker.broker.publication import Publication
from worker.broker.publisher import Publisher
from worker.broker.topology import declare
from worker.domain.errors import LinkLostError, PermanentError, UnavailableError
from worker.limits import BATCH_BYTES_MAX

QUEUE = "payments.registrations"


@pytest.fixture
async def connection(vhost: Vhost) -> AsyncIterator[AbstractConnection]:
    connection = await connect(vhost.amqp_url, "test")
    await declare(connection)
    yield connection
    await connection.close()


def publication(
    message_id: str = "m", routing_key: str = "registration.acme", exchange: str = "payments"
) -> Publication:
    return Publication(exchange, routing_key, message_id.encode(), Basic.Properties(message_id=message_id))


async def intake_of(connection: AbstractConnection, prefetch_messages: int = 100) -> Intake:
    intake = Intake(await open_channel(connection), QUEUE, prefetch_messages)
    await intake.start()
    return intake


async def take(intake: Intake, count: int, messages_max: int = 100) -> list[Delivery]:
    taken: list[Delivery] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(taken) < count:
            taken += await intake.take(messages_max)
    return taken


async def test_the_topology_can_be_declared_again_and_by_several_at_once(vhost: Vhost) -> None:
    connections = [await connect(vhost.amqp_url, "test") for _ in range(4)]
    await asyncio.gather(*(declare(connection) for connection in connections))
    await declare(connections[0])

    channel = await connections[0].channel()
    for queue in (QUEUE, "payments.invoices", "payments.dead-letters"):
        await channel.declare_queue(queue, passive=True)
    for exchange in ("payments", "payments.outcomes", "payments.dead-letter"):
        await channel.get_exchange(exchange, ensure=True)
    for connection in connections:
        await connection.close()


async def test_a_queue_that_stands_there_with_other_arguments_is_told_of(vhost: Vhost) -> None:
    connection = await connect(vhost.amqp_url, "test")
    await (await connection.channel()).declare_queue(QUEUE, durable=True)

    with pytest.raises(PermanentError, match=QUEUE):
        await declare(connection)
    await connection.close()


async def test_a_broker_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(LinkLostError, match=r"127\.0\.0\.1:1") as caught:
        await connect("amqp://user:secret@127.0.0.1:1/", "test")
    assert "secret" not in str(caught.value)


async def test_of_several_nodes_one_that_answers_is_taken(vhost: Vhost) -> None:
    gone = "amqp://user:secret@127.0.0.1:1/"
    for url in (f"{gone},{vhost.amqp_url}", f"{vhost.amqp_url}, {gone}"):
        connection = await connect(url, "test")
        await declare(connection)
        await connection.close()

    with pytest.raises(LinkLostError, match=r"127\.0\.0\.1:1.*127\.0\.0\.1:1") as caught:
        await connect(f"{gone},{gone}", "test")
    assert "secret" not in str(caught.value)


async def test_a_channel_on_a_connection_that_has_ended_says_that_the_link_is_lost(vhost: Vhost) -> None:
    connection = await connect(vhost.amqp_url, "test")
    await connection.close()

    with pytest.raises(LinkLostError):
        await open_channel(connection)


async def test_the_publisher_knows_what_no_queue_took(connection: AbstractConnection) -> None:
    publisher = Publisher(connection)

    routed = await publisher.publish(
        [publication("a"), publication("b", "nowhere"), publication("b", "nowhere"), publication("a"), publication("c")]
    )

    assert routed == [True, False, False, True, True]


@pytest.mark.parametrize("message_id", ["same", ""])
async def test_of_messages_under_one_id_the_one_is_known_that_no_queue_took(
    connection: AbstractConnection, message_id: str
) -> None:
    ways = (("registration.acme", "payments"), ("nowhere", "payments"), ("registration.acme", "payments.outcomes"))

    routed = await Publisher(connection).publish([publication(message_id, *way) for way in ways])

    assert routed == [True, False, False]


async def test_publishing_to_an_exchange_that_is_missing_is_no_success(connection: AbstractConnection) -> None:
    publisher = Publisher(connection)

    with pytest.raises(UnavailableError, match="no exchange 'gone'") as caught:
        await publisher.publish([publication(exchange="gone")])
    assert not isinstance(caught.value, LinkLostError), "the connection is sound, so nothing is to be delivered again"
    assert await publisher.publish([publication()]) == [True]


async def test_consuming_a_queue_that_is_missing_says_what_to_do(vhost: Vhost) -> None:
    connection = await connect(vhost.amqp_url, "test")
    with pytest.raises(LinkLostError, match="payment-worker setup"):
        await intake_of(connection)
    await connection.close()


async def test_a_batch_is_what_the_queue_holds_up_to_its_bound_and_in_order(connection: AbstractConnection) -> None:
    publisher = Publisher(connection)
    await publisher.publish([publication(f"m{number}") for number in range(25)])
    intake = await intake_of(connection)

    deliveries = await take(intake, 25, messages_max=10)
    assert [delivery.body for delivery in deliveries] == [b"m%d" % number for number in range(25)]

    await intake.acknowledge(deliveries)
    await intake.end()
    assert await intake.take(10) == []


async def test_what_is_not_acknowledged_comes_again_and_what_came_often_comes_alone(
    connection: AbstractConnection, vhost: Vhost
) -> None:
    publisher = Publisher(connection)
    await publisher.publish([publication(f"m{number}") for number in range(3)])
    for _ in range(2):
        crashing = await connect(vhost.amqp_url, "test")
        await take(await intake_of(crashing), 3)
        await crashing.close()

    intake = await intake_of(connection)
    async with asyncio.timeout(DEADLINE_S):
        batches = [await intake.take(100) for _ in range(3)]

    assert sorted(delivery.body for batch in batches for delivery in batch) == [b"m0", b"m1", b"m2"]
    assert [len(batch) for batch in batches] == [1, 1, 1]
    assert batches[0][0].redeliveries == 2


async def test_a_paused_intake_keeps_what_it_has_and_gets_no_more(connection: AbstractConnection) -> None:
    publisher = Publisher(connection)
    intake = await intake_of(connection)
    await publisher.publish([publication("before")])
    (before,) = await take(intake, 1)
    await intake.pause()
    await publisher.publish([publication("after")])
    waiting = await (await connection.channel()).declare_queue(QUEUE, passive=True)

    assert waiting.declaration_result.message_count == 1
    await intake.acknowledge([before])
    await intake.resume()
    (after,) = await take(intake, 1)
    assert after.body == b"after"


async def test_a_lost_channel_ends_the_intake_and_voids_its_acknowledgements(connection: AbstractConnection) -> None:
    publisher = Publisher(connection)
    await publisher.publish([publication("m")])
    channel = await open_channel(connection)
    intake = Intake(channel, QUEUE, 10)
    await intake.start()
    (delivery,) = await take(intake, 1)
    await channel.close()

    await intake.acknowledge([delivery])
    with pytest.raises(LinkLostError):
        await intake.take(1)
    (again,) = await take(await intake_of(connection), 1)
    assert again.body == b"m"


async def test_a_batch_is_no_longer_than_its_bytes_and_one_message_is_a_batch_however_long(
    connection: AbstractConnection,
) -> None:
    lengths = [BATCH_BYTES_MAX // 2, BATCH_BYTES_MAX // 2, 1, BATCH_BYTES_MAX + 1, 1, 1]
    routing_key = "registration.acme"
    sent = [Publication("payments", routing_key, b"x" * length, Basic.Properties()) for length in lengths]
    await Publisher(connection).publish(sent)
    intake = await intake_of(connection)
    channel = await connection.channel()

    async def is_delivered() -> bool:
        return (await channel.declare_queue(QUEUE, passive=True)).declaration_result.message_count == 0

    await eventually(is_delivered)
    batches: list[list[int]] = []
    while sum(map(len, batches)) < len(lengths):
        batches.append([len(delivery.body) for delivery in await intake.take(100)])
    assert [length for batch in batches for length in batch] == lengths
    assert all(len(batch) == 1 or sum(batch) <= BATCH_BYTES_MAX for batch in batches)


@pytest.mark.parametrize("mode", [None, 1, 2])
def test_a_copy_is_persistent_and_knows_whether_its_original_was(mode: int | None) -> None:
    retried = copied(Basic.Properties(delivery_mode=mode), {})
    filed = copied(retried, {})
    assert (retried.delivery_mode, filed.delivery_mode) == (2, 2)
    original = restored(filed)
    assert (original.delivery_mode, original.headers) == (mode, {})
    assert restored(believed(filed, "payments")).delivery_mode == 2, "whoever publishes there may say anything"


def test_properties_survive_json_and_a_copy() -> None:
    properties = Basic.Properties(
        content_type="application/json",
        message_id="m",
        message_type="t",
        expiration="1000",
        user_id="bank",
        priority=3,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        headers={
            "text": "ä",
            "list": [1, True, None, {"deep": bytearray(b"\xff")}],
            "decimal": Decimal("1.5"),
            "float": 0.1,
            "time": datetime(2026, 1, 1, tzinfo=UTC),
            "x-death": [{"count": 1}],
        },
    )
    headers = {name: value for name, value in (properties.headers or {}).items() if name != "x-death"}

    copy = copied(properties, {"ours": 1})
    assert (copy.expiration, copy.user_id, copy.delivery_mode) == (None, None, 2)
    assert "x-death" not in (copy.headers or {})
    original = from_json(to_json(restored(copy)))

    assert (original.expiration, original.user_id, original.priority) == ("1000", "bank", 3)
    assert original.timestamp == properties.timestamp
    assert original.headers == headers | {"ours": 1}
    assert (original.delivery_mode, original.message_id) == (None, "m")
    assert copyable(properties)
    assert not copyable(Basic.Properties(message_type="\udcff"))
    assert not copyable(Basic.Properties(headers={"long": "x" * 200_000}))
