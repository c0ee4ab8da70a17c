"""Who is measured: how each is started, on which tables it works, and how a payment is published to it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.benchmarks.payments import as_actor_message, as_published
from tests.benchmarks.peers.environment import PYTHON
from tests.integration.command_line import PROGRAM
from worker.broker.publication import Publication

Books = Literal["worker", "peer"]
"""Whose tables."""

_PEER = "tests.benchmarks.peers"
_DRAMATIQ_QUEUE = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "bench.XQ"}


@dataclass(frozen=True)
class Contestant:
    """A program that takes payments from a queue and tells the outcome exchange of each."""

    name: str
    what: str
    command: tuple[str, ...]
    books: Books | None
    share: float = 1.0
    """Of the messages: fewer for the slow, so that all are measured for about as long."""
    publication: Callable[[str, dict[str, Any]], Publication] = as_published
    """(key, payment) → the message that it takes."""
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Queues of its own, with their arguments, that it would declare itself."""
    processes: int = 1


WORKER = Contestant(
    "payment-worker",
    "one process",
    (*PROGRAM, "run"),
    "worker",
)
FASTSTREAM = Contestant(
    "FastStream",
    "asyncpg, one transaction a message",
    (str(PYTHON), "-m", f"{_PEER}.with_faststream"),
    "peer",
    share=0.25,
)
AIO_PIKA = Contestant(
    "aio-pika",
    "asyncpg, a message at a time, prefetch and pool",
    (str(PYTHON), "-m", f"{_PEER}.plain"),
    "peer",
    share=0.25,
)
DRAMATIQ = Contestant(
    "dramatiq",
    "psycopg, two processes of eight threads",
    (str(PYTHON), "-m", "dramatiq", f"{_PEER}.with_dramatiq", "--processes", "2", "--threads", "8"),
    "peer",
    share=0.25,
    publication=as_actor_message,
    queues={"bench": _DRAMATIQ_QUEUE},
)
RELAY = Contestant(
    "bare relay",
    "aio-pika as documented: a message at a time, published, confirmed, acknowledged; no database",
    (sys.executable, "-m", "tests.benchmarks.limits.bare_relay"),
    None,
)
WINDOWED_RELAY = Contestant(
    "windowed relay",
    "aio-pika: 200 at a time, confirmed together, acknowledged together; no database",
    (sys.executable, "-m", "tests.benchmarks.limits.windowed_relay"),
    None,
)
RELAYS = (RELAY, WINDOWED_RELAY)
PEERS = (FASTSTREAM, AIO_PIKA, DRAMATIQ)
