"""What the broker holds: exchanges, and quorum queues with what waits in them."""

import copy
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pamqp.commands import Basic

Later = Callable[[float, Callable[[], None]], object]


@dataclass(eq=False)
class Stored:
    """A message in a queue."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Basic.Properties
    deliveries: int = 0

    def as_delivered(self) -> Basic.Properties:
        """Return its properties as a quorum queue hands them out."""
        properties = copy.copy(self.properties)
        properties.headers = dict(properties.headers or {})
        if self.deliveries:
            properties.headers["x-delivery-count"] = self.deliveries
        return properties


@dataclass(eq=False)
class Queue:
    name: str
    arguments: dict[str, Any]
    ready: deque[Stored] = field(default_factory=deque)
    unacknowledged: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.ready and not self.unacknowledged


@dataclass
class Exchanges:
    """Routes what is published, and what dies in a queue."""

    later: Later
    now_s: Callable[[], float]
    on_ready: Callable[[], None]
    queues: dict[str, Queue] = field(default_factory=dict)
    _bindings: dict[str, list[tuple[str, Queue]]] = field(default_factory=dict)
    """By the exchange's name. A fanout is a topic bound with #."""

    def declare_exchange(self, name: str) -> None:
        self._bindings.setdefault(name, [])

    def declare_queue(self, name: str, arguments: dict[str, Any]) -> Queue:
        return self.queues.setdefault(name, Queue(name, arguments))

    def bind(self, queue: str, exchange: str, pattern: str) -> None:
        self._bindings[exchange].append((pattern, self.queues[queue]))

    def exists(self, exchange: str) -> bool:
        return exchange in self._bindings or not exchange

    def targets(self, exchange: str, routing_key: str) -> list[Queue]:
        if not exchange:
            return [queue for name, queue in self.queues.items() if name == routing_key]
        words = routing_key.split(".")
        return [queue for pattern, queue in self._bindings.get(exchange, ()) if _fits(pattern.split("."), words)]

    def publish(self, exchange: str, routing_key: str, body: bytes, properties: Basic.Properties) -> bool:
        """Store the message; say whether there was a queue for it."""
        targets = self.targets(exchange, routing_key)
        for queue in targets:
            self._store(queue, Stored(exchange, routing_key, body, copy.copy(properties)))
        return bool(targets)

    def die(self, queue: Queue, message: Stored, reason: str) -> None:
        """Send the message to where the queue sends its dead; without such a place it is gone."""
        exchange = queue.arguments.get("x-dead-letter-exchange")
        if exchange is None:
            return
        headers: dict[str, Any] = dict(message.properties.headers or {})
        death: dict[str, Any] = {
            "reason": reason,
            "queue": queue.name,
            "count": 1,
            "exchange": message.exchange,
            "routing-keys": [message.routing_key],
            "time": datetime.fromtimestamp(int(self.now_s()), UTC),
        }
        headers["x-death"] = [death, *headers.get("x-death", ())]
        for key in ("reason", "queue", "exchange"):
            headers.setdefault(f"x-first-death-{key}", death[key])
            headers[f"x-last-death-{key}"] = death[key]
        properties = copy.copy(message.properties)
        properties.headers = headers
        for target in self.targets(exchange, message.routing_key):
            if not _goes_in_circles(target, headers["x-death"]):
                self._store(target, Stored(exchange, message.routing_key, message.body, properties))

    def give_back(self, messages: Sequence[tuple[Queue, Stored]]) -> None:
        """Put messages that were out back in front, in that order, and count that they have been out."""
        for queue, stored in reversed(messages):
            queue.unacknowledged -= 1
            stored.deliveries += 1
            if stored.deliveries > queue.arguments["x-delivery-limit"]:
                self.die(queue, stored, "delivery_limit")
            else:
                queue.ready.appendleft(stored)
        if messages:
            self.on_ready()

    def _store(self, queue: Queue, message: Stored) -> None:
        queue.ready.append(message)
        ttl_ms = queue.arguments.get("x-message-ttl")
        if ttl_ms is not None:
            self.later(ttl_ms / 1000, lambda: self._expire(queue, message))
        self.on_ready()

    def _expire(self, queue: Queue, message: Stored) -> None:
        if message in queue.ready:
            queue.ready.remove(message)
            self.die(queue, message, "expired")


def _goes_in_circles(target: Queue, deaths: list[dict[str, Any]]) -> bool:
    """Say whether the broker drops it: it has been in that queue, and nobody has rejected it since."""
    return target.name in {death["queue"] for death in deaths} and all(
        death["reason"] != "rejected" for death in deaths
    )


def _fits(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return _fits(pattern[1:], words) or (bool(words) and _fits(pattern, words[1:]))
    return bool(words) and pattern[0] in {"*", words[0]} and _fits(pattern[1:], words[1:])
