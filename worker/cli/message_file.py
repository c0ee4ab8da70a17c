"""A file of messages to publish, a line each; or a single JSON document laid out over many lines."""

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from schemas.codec import encode, read_json
from schemas.invalid import MalformedJsonError
from worker.domain.errors import PermanentError
from worker.limits import DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX


class MessageLine(NamedTuple):
    """A message's bytes, and the line (or the element of an array) that it stands in."""

    number: int
    body: bytes


class MessageFileError(PermanentError):
    """The file cannot be cut into messages."""


@contextmanager
def open_messages(path: str, *, twice: bool) -> Iterator[BinaryIO]:
    """Open the file, "-" for stdin. twice: whether it will be read more than once, so that a pipe has to be kept."""
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        if twice and not stream.seekable():
            kept = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, kept)
            stream = cast("BinaryIO", kept)
        yield stream


def read_messages(stream: BinaryIO) -> Iterator[MessageLine]:
    """Return the messages in order; blank lines are none. A stream that can be rewound is read from its start.

    Raises MessageFileError at a line longer than any message.
    """
    if stream.seekable():
        stream.seek(0)
        document = _document(stream)
        if document is not None:
            yield from document
            return
        stream.seek(0)
    number = 0
    while line := stream.readline(MESSAGE_BYTES_MAX):
        number += 1
        if len(line) == MESSAGE_BYTES_MAX and not line.endswith(b"\n"):
            raise MessageFileError(f"line {number} is longer than {MESSAGE_BYTES_MAX:,} bytes: no broker takes that")
        if line.strip():
            yield MessageLine(number, line.rstrip(b"\r\n"))


def _document(stream: BinaryIO) -> list[MessageLine] | None:
    """Return the messages of a file that is one object, or one array, though its first line alone is no JSON."""
    text = stream.read(DOCUMENT_BYTES_MAX + 1)
    first = io.BytesIO(text.lstrip()).readline()
    if len(text) > DOCUMENT_BYTES_MAX or first[:1] not in (b"{", b"[") or _read(first) is not None:
        return None
    whole = _read(text)
    if isinstance(whole, list):
        return [MessageLine(number, _written(number, element)) for number, element in enumerate(whole, start=1)]
    return None if whole is None else [MessageLine(1, text.strip())]


def _written(number: int, element: object) -> bytes:
    try:
        return encode(element)
    except UnicodeEncodeError:
        raise MessageFileError(f"element {number} holds half of a surrogate pair, which is no text") from None


def _read(text: bytes) -> object:
    try:
        return read_json(text)
    except MalformedJsonError:
        return None
