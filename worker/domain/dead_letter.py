"""A dead letter: a message that could not be processed, with why."""

import hashlib
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from schemas import catalog
from schemas.codec import read_json
from schemas.fields import storable
from schemas.invalid import FieldError, MalformedJsonError
from schemas.sources import SOURCES, without_secrets
from schemas.value import Value
from worker.domain.errors import DeadLetterReason


class DeadLetter(Value, frozen=True, kw_only=True):
    """What is kept of it: body and properties as they came, and the cause.

    properties: the AMQP properties in JSON, enough to publish the message again just as it was.
    arrival: names this very filing, so that the same one delivered twice counts once.
    """

    reason: DeadLetterReason
    text: str
    routing_key: str
    body: bytes
    properties: Mapping[str, Any]
    arrival: str
    errors: tuple[FieldError, ...] = ()

    @property
    def company(self) -> str | None:
        name = self.routing_key.partition(".")[2]
        return name if catalog.is_company(name) else None

    @property
    def identity(self) -> bytes:
        """SHA-256 of what makes two dead letters the same one, come again: where it went, its type, key and body."""
        parts = (self.routing_key, self.type or "", self.idempotency_key or "")
        digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape"))
        digest.update(b"\0" + self.body)
        return digest.digest()

    @property
    def type(self) -> str | None:
        return _text(self.properties.get("message_type"))

    @property
    def idempotency_key(self) -> str | None:
        """The key that the message came under, where one can be read: of the header, the body, or message_id."""
        headers = self.properties.get("headers")
        header = headers.get(catalog.KEY_HEADER) if isinstance(headers, dict) else None
        return _text(header) or self._natural_key() or _text(self.properties.get("message_id"))

    def _natural_key(self) -> str | None:
        source = SOURCES.get(self.type or "")
        if source is None or source.key_field is None:
            return None
        try:
            said = read_json(self.body)
        except MalformedJsonError:
            return None
        return _text(said.get(source.key_field)) if isinstance(said, dict) else None

    def edited(
        self,
        *,
        body: bytes | None = None,
        message_type: str | None = None,
        idempotency_key: str | None = None,
        is_json: bool = False,
    ) -> "DeadLetter":
        """Return the letter with what is given in the place of what it has.

        is_json: its content type is JSON from now on, without an encoding, whatever it was.
        """
        properties = dict(self.properties)
        if message_type is not None:
            properties["message_type"] = message_type
        if idempotency_key is not None:
            headers = properties.get("headers")
            headers = headers if isinstance(headers, dict) else {}
            properties["headers"] = headers | {catalog.KEY_HEADER: idempotency_key}
        if is_json:
            properties["content_type"] = catalog.CONTENT_TYPE
            properties.pop("content_encoding", None)
        return replace(self, body=self.body if body is None else body, properties=properties).without_secrets()

    def without_secrets(self) -> "DeadLetter":
        """Return the letter as it may be kept: byte for byte, but for what its source says is never to be stored.

        A letter of an unknown type, or of none, may be any source's.
        """
        source = SOURCES.get(self.type or "")
        body = self.body
        for each in SOURCES.values() if source is None else (source,):
            body = without_secrets(body, each)
        return replace(self, body=body)


def _text(value: object) -> str | None:
    try:
        return storable(value) if isinstance(value, str) else None
    except ValueError:
        return None
