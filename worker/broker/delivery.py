"""A message that the broker has handed out and waits to have acknowledged."""

from typing import Any

from pamqp.commands import Basic

from schemas.limits import INTEGER_ID_MAX
from schemas.value import Value
from worker.broker.properties import NO_MESSAGE_ID, sender
from worker.domain.message import Message

ATTEMPTS_HEADER = "payment-worker-attempts"
"""How often the message has been through the delayed retries."""
DEAD_LETTER_ID_HEADER = "payment-worker-dead-letter"
"""On a replay: the id of the dead letter that it comes from."""


class Delivery(Value, frozen=True):
    """A delivery on one channel. Its tag means nothing on any other channel."""

    tag: int
    routing_key: str
    body: bytes
    properties: Basic.Properties
    is_redelivered: bool = True

    @property
    def headers(self) -> dict[str, Any]:
        return self.properties.headers or {}

    @property
    def redeliveries(self) -> int:
        """How often the broker has delivered it before, as a quorum queue counts."""
        return _whole(self.headers.get("x-delivery-count")) if self.is_redelivered else 0

    @property
    def attempts(self) -> int:
        return _whole(self.headers.get(ATTEMPTS_HEADER))

    @property
    def dead_letter_id(self) -> int | None:
        return _whole(self.headers.get(DEAD_LETTER_ID_HEADER)) or None

    def message(self) -> Message:
        """Return what the rules see of it."""
        properties = self.properties
        return Message(
            routing_key=self.routing_key,
            body=self.body,
            type=properties.message_type,
            content_type=properties.content_type,
            content_encoding=properties.content_encoding,
            message_id=None if NO_MESSAGE_ID in self.headers else properties.message_id,
            correlation_id=properties.correlation_id,
            reply_to=properties.reply_to,
            user_id=sender(properties),
            headers=self.headers,
        )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= INTEGER_ID_MAX else 0
