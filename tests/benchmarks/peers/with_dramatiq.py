"""Peer (c): a dramatiq actor with psycopg, one transaction a message, the outcome published with a confirm.

dramatiq reads its own envelope alone, from a classic queue of its own, so the benchmark publishes the payments there.
"""

import os
import threading
from typing import Any

import dramatiq
import pika
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.benchmarks.peers.statements import ALLOCATE, CLAIM, HELD, KEEP, LOCK, UPDATE, cents, focus, outcome

QUEUE = "bench"

broker = RabbitmqBroker(url=os.environ["PAYMENT_WORKER_AMQP_URL"], confirm_delivery=True)
dramatiq.set_broker(broker)
_of_thread = threading.local()


def database() -> "psycopg.Connection[Any]":
    """Return this thread's connection."""
    if not hasattr(_of_thread, "database"):
        url = os.environ["PAYMENT_WORKER_DATABASE_URL"]
        _of_thread.database = psycopg.connect(url, autocommit=True, client_encoding="utf8")
    connection: psycopg.Connection[Any] = _of_thread.database
    return connection


def channel() -> Any:
    """Return this thread's channel, in confirm mode."""
    if not hasattr(_of_thread, "channel"):
        parameters = pika.URLParameters(os.environ["PAYMENT_WORKER_AMQP_URL"])
        _of_thread.channel = pika.BlockingConnection(parameters).channel()
        _of_thread.channel.confirm_delivery()
    return _of_thread.channel


@dramatiq.actor(queue_name=QUEUE, actor_name="register")
def register(company: str, key: str, payment: dict[str, Any]) -> None:
    """Book the payment once and publish its outcome."""
    with database().transaction(), database().cursor() as cursor:
        amount = cents(payment["amount"])
        claimed = cursor.execute(CLAIM.format("%s, %s, %s"), (company, key, amount)).fetchone()
        if claimed is None:
            (text,) = cursor.execute(HELD.format("%s", "%s"), (company, key)).fetchone() or ("",)
        else:
            locked = cursor.execute(LOCK.format("%s", "%s"), (company, payment["billcode"])).fetchone()
            if locked is None:
                raise LookupError(payment["billcode"])
            invoice_id, *owed = locked
            focused = focus(amount, *owed)
            cursor.execute(ALLOCATE.format("%s, %s, %s, %s, %s"), (claimed[0], invoice_id, *focused))
            cursor.execute(UPDATE.format("%s", "%s", "%s", "%s"), (*focused, invoice_id))
            text = outcome(company, key, payment, focused)
            cursor.execute(KEEP.format("%s", "%s"), (text, claimed[0]))
    properties = pika.BasicProperties(delivery_mode=2)
    channel().basic_publish("payments.outcomes", f"outcome.{company}.ohispay", text.encode(), properties)
