"""What a user may try on the broker, as the protocol has it: each an action on a channel, refused or not."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage

Action = Callable[[aiormq.abc.AbstractChannel, Callable[[str], str]], Awaitable[object]]
"""Takes the channel, and what puts the companies' names into a text."""


def publish(exchange: str, key: str) -> Action:
    async def act(channel: aiormq.abc.AbstractChannel, named: Callable[[str], str]) -> None:
        await channel.basic_publish(b"", exchange=exchange, routing_key=named(key), timeout=10)

    return act


def consume(queue: str) -> Action:
    async def act(channel: aiormq.abc.AbstractChannel, named: Callable[[str], str]) -> None:
        async def ignore(_: DeliveredMessage) -> None:
            pass

        await channel.basic_consume(named(queue), ignore)

    return act


async def await_answers(channel: aiormq.abc.AbstractChannel, _named: Callable[[str], str]) -> None:
    async def ignore(_: DeliveredMessage) -> None:
        pass

    await channel.basic_consume("amq.rabbitmq.reply-to", ignore, no_ack=True)


def get(queue: str) -> Action:
    return lambda channel, named: channel.basic_get(named(queue), no_ack=False)


def declare_queue(queue: str, **arguments: Any) -> Action:
    dashed = {name.replace("_", "-"): value for name, value in arguments.items()}
    return lambda channel, named: channel.queue_declare(named(queue), exclusive=True, arguments=dashed)


def declare_exchange(exchange: str, **arguments: Any) -> Action:
    dashed = {name.replace("_", "-"): value for name, value in arguments.items()}
    return lambda channel, named: channel.exchange_declare(
        named(exchange), exchange_type="topic", auto_delete=True, arguments=dashed
    )


def bind(queue: str, exchange: str, key: str) -> Action:
    return lambda channel, named: channel.queue_bind(named(queue), exchange, named(key))


def bind_own(exchange: str, key: str) -> Action:
    async def act(channel: aiormq.abc.AbstractChannel, named: Callable[[str], str]) -> None:
        queue = await channel.queue_declare(named("outcomes.{a}.bound"), exclusive=True)
        await channel.queue_bind(queue.queue or "", exchange, named(key))

    return act


def bind_own_exchange(exchange: str, key: str) -> Action:
    async def act(channel: aiormq.abc.AbstractChannel, named: Callable[[str], str]) -> None:
        own = named("outcomes.{a}.exchange")
        await channel.exchange_declare(own, exchange_type="topic", auto_delete=True)
        await channel.exchange_bind(own, exchange, routing_key=named(key))

    return act


def purge(queue: str) -> Action:
    return lambda channel, named: channel.queue_purge(named(queue))


def delete_queue(queue: str) -> Action:
    return lambda channel, named: channel.queue_delete(named(queue))


def delete_exchange(exchange: str) -> Action:
    return lambda channel, _: channel.exchange_delete(exchange)
