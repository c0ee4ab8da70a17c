"""A message as it came, whoever brought it: nothing in it is trusted yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Body and properties of a delivery. Header values are of any type that AMQP has."""

    routing_key: str
    body: bytes
    type: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)

    @property
    def company(self) -> str:
        """The company, from the routing key alone: its second word."""
        return self.routing_key.partition(".")[2]


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where a copy of the outcome goes and what it carries back to whoever asked."""

    correlation_id: str | None = None
    reply_to: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


NOWHERE = ReturnAddress()
