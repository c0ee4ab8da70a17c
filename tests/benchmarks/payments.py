"""What is published: payments of one euro each, over so many invoices, some of them twice."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pamqp.commands import Basic

from schemas import catalog
from worker.broker.properties import PERSISTENT
from worker.broker.publication import Publication

COMPANY = "bench"
AMOUNT_MINOR = 100
STRIDE = 611_953
"""A prime: payments that follow each other have keys and invoices far apart, and each invoice gets as many."""
KEYS = 10**9
REPEAT_STEPS = 37, 11
"""A message that repeats another comes up to 37 times 10 repeats after it: in the same batch, or long after."""


@dataclass(frozen=True)
class Load:
    """So many messages. Keys end with the mark; of each `repeat_every` messages the last repeats an earlier one."""

    messages: int
    invoices: int
    repeat_every: int = 0
    mark: str = "k"

    def original(self, number: int) -> int:
        """Return the number of the message whose payment this one is: its own, unless it repeats an earlier one."""
        every = self.repeat_every
        if not every or number % every != every - 1:
            return number
        distance, turns = REPEAT_STEPS
        earlier = number - 1 - every * distance * (number // every % turns)
        return earlier if earlier >= 0 else number - 1

    def key(self, number: int) -> str:
        return f"{self.original(number) * STRIDE % KEYS:09}{self.mark}"

    def expected(self) -> Counter[str]:
        """Return how often each key is to be told."""
        return Counter(map(self.key, range(self.messages)))

    def windows(self, window_messages: int) -> Iterator[range]:
        """Yield the numbers in windows to be published together."""
        for start in range(0, self.messages, window_messages):
            yield range(start, min(start + window_messages, self.messages))

    def payment(self, number: int) -> dict[str, Any]:
        """Return a Ropo payment."""
        billcode = f"b{self.original(number) * STRIDE % self.invoices + 1}"
        return {"amount": "1.00", "billcode": billcode, "paydate": "2017-10-10", "description": "benchmark"}


def as_published(key: str, payment: dict[str, Any]) -> Publication:
    """Return the payment as an upstream publishes it."""
    properties = Basic.Properties(message_id=key, delivery_mode=PERSISTENT, content_type=catalog.CONTENT_TYPE)
    return Publication(catalog.PAYMENTS, f"registration.{COMPANY}", json.dumps(payment).encode(), properties)


def as_actor_message(key: str, payment: dict[str, Any]) -> Publication:
    """Return the payment in the envelope that a dramatiq actor takes."""
    envelope = {
        "queue_name": "bench",
        "actor_name": "register",
        "args": [COMPANY, key, payment],
        "kwargs": {},
        "options": {},
        "message_id": key,
        "message_timestamp": 0,
    }
    return Publication("", "bench", json.dumps(envelope).encode(), Basic.Properties(delivery_mode=PERSISTENT))
