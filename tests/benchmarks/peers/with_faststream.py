"""Peer (a): a FastStream subscriber and publisher, one transaction a message, as its documentation has it."""

import os
from typing import Any

import asyncpg
import uvloop
from faststream import ContextRepo, FastStream
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage
from pydantic import BaseModel

from tests.benchmarks.peers.asynchronous import POOL_CONNECTIONS, register

PREFETCH_MESSAGES = 100

broker = RabbitBroker(
    os.environ["PAYMENT_WORKER_AMQP_URL"], default_channel=Channel(prefetch_count=PREFETCH_MESSAGES), logger=None
)
app = FastStream(broker, logger=None)
payments = RabbitExchange("payments", type=ExchangeType.TOPIC, durable=True, declare=False)
outcomes = RabbitExchange("payments.outcomes", type=ExchangeType.TOPIC, durable=True, declare=False)
registrations = RabbitQueue(
    "payments.registrations", queue_type=QueueType.QUORUM, durable=True, routing_key="registration.*", declare=False
)


class Payment(BaseModel):
    """A Ropo payment, as far as the benchmark fills it."""

    amount: str
    billcode: str
    paydate: str
    description: str | None = None


@app.on_startup
async def open_pool(context: ContextRepo) -> None:
    """Open the database."""
    pool = await asyncpg.create_pool(
        os.environ["PAYMENT_WORKER_DATABASE_URL"], min_size=POOL_CONNECTIONS, max_size=POOL_CONNECTIONS
    )
    context.set_global("pool", pool)


@broker.subscriber(registrations, payments)
async def handle(payment: Payment, message: RabbitMessage) -> None:
    """Register the payment and publish its outcome; FastStream acknowledges afterwards."""
    pool: asyncpg.Pool[Any] = app.context.get("pool")
    company = str(message.raw_message.routing_key).partition(".")[2]
    text = await register(pool, company, message.message_id, payment.model_dump())
    await broker.publish(
        text.encode(),
        exchange=outcomes,
        routing_key=f"outcome.{company}.ohispay",
        content_type="application/json",
        persist=True,
    )


if __name__ == "__main__":
    uvloop.run(app.run())
