"""Messages to publish, and what the broker answers to those that go out together."""

import asyncio
from collections.abc import Sequence

from pamqp.commands import Basic

from schemas.value import Value
from worker.broker.frames import Return
from worker.broker.stamp import Stamped
from worker.domain.errors import UnavailableError


class Publication(Value, frozen=True):
    """A message to publish."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Basic.Properties | Stamped


class Waiting:
    """Publications that are confirmed together, under tags from the first one on. `answers` has one for each."""

    def __init__(self, publications: Sequence[Publication], first_tag: int, done: "asyncio.Future[None]") -> None:
        self.answers: list[bool | UnavailableError] = [True] * len(publications)
        self.done = done
        self._publications = publications
        self._first_tag = first_tag
        self._missing = set(range(len(publications)))

    @property
    def target(self) -> str:
        """Where they go, for messages to people."""
        return self._publications[0].exchange or "a reply queue"

    def confirm(self, tag: int) -> None:
        """Take note of an answer; `done` once there is one to each."""
        self._missing.discard(tag - self._first_tag)
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    def refuse(self, tag: int, error: UnavailableError) -> None:
        """Note why the broker does not take it. Its confirm() is still to come."""
        self.answers[tag - self._first_tag] = error

    def refuse_rest(self, error: UnavailableError) -> None:
        """Note why all that has not been answered is waited for no longer."""
        for index in self._missing:
            self.answers[index] = error

    def fail(self, error: Exception) -> None:
        """Have `done` raise, as the channel has ended."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # it counts as seen: who waited may have given up already

    def give_back(self, tag: int, address: Return, message_id: str | None) -> bool:
        """Note the message as taken by no queue. False where that under the tag is another, or noted already.

        Of two that went the same way under the same id, or none, it makes no difference which is meant.
        """
        index = tag - self._first_tag
        publication = self._publications[index]
        is_open = self.answers[index] is True
        if not is_open or (publication.properties.message_id or None) != message_id:
            return False
        if (publication.exchange, publication.routing_key) != address:
            return False
        self.answers[index] = False
        return True
