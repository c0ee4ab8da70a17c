"""The two ends between which a program on aio-pika works: where payments come from, and where outcomes go."""

from aio_pika.abc import AbstractConnection, AbstractExchange, AbstractQueue


async def open_ends(connection: AbstractConnection, prefetch_messages: int) -> tuple[AbstractQueue, AbstractExchange]:
    """Return the queue of payments and the exchange of outcomes, on a channel of their own."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=prefetch_messages)
    outcomes = await channel.get_exchange("payments.outcomes", ensure=False)
    return await channel.get_queue("payments.registrations", ensure=False), outcomes
