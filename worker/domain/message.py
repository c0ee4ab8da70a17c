"""A message as it came, whoever brought it: nothing in it is trusted yet."""

from collections.abc import Mapping

from msgspec import field

from schemas.value import Value

UPSTREAM = "upstream"
DOWNSTREAM = "downstream"
"""The roles of users whose names, `<role>.<company>`, say whose they are."""


class Message(Value, frozen=True, kw_only=True):
    """Body and properties of a delivery. Header values are of any type that AMQP has."""

    routing_key: str
    body: bytes
    type: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    user_id: str | None = None
    """Who sent it, where its sender said so: the broker takes no other name than that of the connection's user."""
    headers: Mapping[str, object] = field(default_factory=dict)

    @property
    def company(self) -> str:
        """The company, from the routing key alone: its second word."""
        return self.routing_key.partition(".")[2]

    @property
    def is_from_its_company(self) -> bool:
        """Say whether the user who sent it, where that is known, may speak for the company.

        upstream.<company> speaks for that company alone and downstream.<company> for none; any other user, such as a
        service that publishes for many companies, for whichever the broker lets it.
        """
        role, dot, company = (self.user_id or "").partition(".")
        return not dot or (role != DOWNSTREAM and (role != UPSTREAM or company == self.company))


class ReturnAddress(Value, frozen=True):
    """Where a copy of the outcome goes and what it carries back to whoever asked."""

    correlation_id: str | None = None
    reply_to: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


NOWHERE = ReturnAddress()
