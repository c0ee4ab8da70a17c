"""`payment-worker publish`: what an upstream does."""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
from pamqp.commands import Basic

from schemas import catalog
from schemas.codec import parse, read_json
from schemas.fields import storable
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.limits import BODY_BYTES_MAX, IDEMPOTENCY_KEY_CHARS_MAX
from worker.broker.properties import PERSISTENT
from worker.broker.publication import Publication
from worker.cli.broker import publisher
from worker.cli.message_file import MessageLine, open_messages, read_messages
from worker.cli.parameters import TEXT, company_option
from worker.cli.progress import progress
from worker.cli.terminal import json_option, note, print_record
from worker.domain.errors import LinkLostError, PermanentError, UnavailableError
from worker.limits import RELAY_WINDOW_MESSAGES, WRONG_SHOWN


class PublishError(PermanentError):
    """A file could not be published, or not to its end."""


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@company_option
@click.option(
    "--type",
    "message_type",
    type=click.Choice(sorted(catalog.TYPES)),
    default=catalog.DEFAULT_TYPE,
    show_default=True,
    help="The type of all messages in the file.",
)
@click.option("--key-field", type=TEXT, metavar="NAME", help="Take the idempotency key from this field of the body.")
@click.option("--check", is_flag=True, help="Publish nothing unless every line is a valid message.")
@json_option
def publish(*, file: str, company: str, message_type: str, key_field: str | None, check: bool, as_json: bool) -> None:
    """Publish FILE (- for stdin), JSON lines, to the exchange `payments`, each line as it is and confirmed.

    A line's message_id depends on the company, the type and the line alone, so the same file published again books
    nothing twice; two equal lines of a file are two payments. A file may also be one JSON document over many lines: an
    object, or an array of messages.
    """
    stamp = _Stamp(company, message_type, key_field)
    with open_messages(file) as stream:
        if check or key_field:
            _check(file, stream, stamp, is_checked=check)
        published = asyncio.run(_send(file, stream, stamp))
    print_record({"published": published}, as_json=as_json)


class _Stamp:
    """Makes publications of lines: their routing key, type and keys."""

    def __init__(self, company: str, message_type: str, key_field: str | None) -> None:
        self.message_type = message_type
        self.key_field = key_field
        self._seed = f"{company}\0{message_type}\0".encode()
        self._routing_key = catalog.routing_key(message_type, company)
        self._seen: Counter[bytes] = Counter()

    def publication(self, body: bytes) -> Publication:
        digest = hashlib.sha256(self._seed + body)
        self._seen[digest.digest()[:16]] += 1
        digest.update(b"\0%d" % self._seen[digest.digest()[:16]])
        properties = Basic.Properties(
            content_type=catalog.CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_type=self.message_type,
            message_id=digest.hexdigest(),
            headers={catalog.KEY_HEADER: _key(body, self.key_field)} if self.key_field else None,
        )
        return Publication(catalog.PAYMENTS, self._routing_key, body, properties)


async def _send(file: str, stream: BinaryIO, stamp: _Stamp) -> int:
    total = os.fstat(stream.fileno()).st_size
    confirmed = size = 0
    try:
        async with publisher("publish") as link:
            with progress(f"Publishing {Path(file).name}", "messages", total) as tell:
                for window in _windows(read_messages(stream)):
                    routed = await link.publish([stamp.publication(line.body) for line in window])
                    confirmed += routed.count(True)
                    if not all(routed):
                        _refuse_unrouted(window, routed, confirmed)
                    size += sum(len(line.body) + 1 for line in window)
                    tell(size, confirmed)
    except UnavailableError as error:
        if not confirmed:
            raise
        again = "publish the same file again: nothing is booked twice"
        raise LinkLostError(f"{error}. {confirmed:,} messages are confirmed; {again}") from error
    return confirmed


def _windows(lines: Iterator[MessageLine]) -> Iterator[list[MessageLine]]:
    while window := list(islice(lines, RELAY_WINDOW_MESSAGES)):
        yield window


def _refuse_unrouted(window: Sequence[MessageLine], routed: Sequence[bool], confirmed: int) -> None:
    first = next(line.number for line, is_routed in zip(window, routed, strict=True) if not is_routed)
    raise PublishError(
        f"no queue took the message of line {first}: run `payment-worker setup`, then publish the same file again "
        f"({confirmed:,} messages are confirmed; nothing is booked twice)"
    )


def _check(file: str, stream: BinaryIO, stamp: _Stamp, *, is_checked: bool) -> None:
    """Read the whole file and raise PublishError where a line will not do, before anything is sent."""
    wrong = 0
    for line in read_messages(stream):
        try:
            if is_checked:
                _validate(line.body, stamp.message_type)
            if stamp.key_field:
                _key(line.body, stamp.key_field)
        except (InvalidMessageError, MalformedJsonError, PublishError) as error:
            wrong += 1
            if wrong <= WRONG_SHOWN:
                note(f"line {line.number}: {error}")
    if wrong > WRONG_SHOWN:
        note(f"and {wrong - WRONG_SHOWN:,} more")
    if wrong:
        raise PublishError(f"{file}: {wrong:,} wrong lines; nothing was published")


def _validate(body: bytes, message_type: str) -> None:
    if len(body) > BODY_BYTES_MAX:
        raise PublishError(f"has {len(body)} bytes, more than {BODY_BYTES_MAX}")
    parse(catalog.TYPES[message_type].model, read_json(body))


def _key(body: bytes, field: str) -> str:
    """Return the idempotency key that the body's field holds. Raises PublishError."""
    try:
        raw = read_json(body)
        value = raw.get(field) if isinstance(raw, dict) else None
        key = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(key, str) and 1 <= len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
            return storable(key)
    except ValueError:
        pass
    raise PublishError(f"the field {field} holds no key: text of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
