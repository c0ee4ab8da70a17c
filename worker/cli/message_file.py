"""A file of messages to publish, a line each; or a single JSON document laid out over many lines."""

import codecs
import io
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
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
    if path == "-" and sys.stdin is None:
        raise MessageFileError("there is no stdin to read: it is closed")
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        if twice and not stream.seekable():
            kept = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, kept)
            stream = cast("BinaryIO", kept)
        yield stream


def read_messages(stream: BinaryIO) -> Iterator[MessageLine]:
    """Return the messages in order; blank lines are none. A stream that can be rewound is read from its start.

    Where the first line opens an object or an array that goes on, the file is one document, if it can be read as such.
    Raises MessageFileError at a line longer than any message, and at a document that begins with a bracket on a line of
    its own and cannot be read.
    """
    if stream.seekable():
        stream.seek(0)
    blank = 0
    first = stream.readline(MESSAGE_BYTES_MAX).removeprefix(codecs.BOM_UTF8)
    while first and not first.strip():
        blank += 1
        first = stream.readline(MESSAGE_BYTES_MAX)
    if first.lstrip()[:1] in (b"{", b"[") and not _is_json(first):
        first += stream.read(DOCUMENT_BYTES_MAX)
        document = _document(first, blank + 1)
        if document is not None:
            yield from document
            return
        first += stream.readline(MESSAGE_BYTES_MAX)
    yield from _lines((io.BytesIO(first), stream), blank)


def _document(text: bytes, number: int) -> list[MessageLine] | None:
    """Return the messages of a document, one or an array of them; None where it is none, but perhaps lines."""
    try:
        whole = _whole(text)
    except MalformedJsonError as error:
        opening, _, more = text.partition(b"\n")
        if opening.strip() in (b"{", b"[") and more.strip():
            raise MessageFileError(f"the JSON document that line {number} begins cannot be read: {error}") from None
        return None
    if isinstance(whole, list):
        return [MessageLine(place, _written(place, element)) for place, element in enumerate(whole, start=1)]
    return [MessageLine(number, text.strip())]


def _whole(text: bytes) -> object:
    if len(text) > DOCUMENT_BYTES_MAX:
        raise MalformedJsonError(f"it has more than {DOCUMENT_BYTES_MAX:,} bytes; put each message on a line")
    return read_json(text)


def _lines(streams: Iterable[BinaryIO], number: int) -> Iterator[MessageLine]:
    """Return the lines of the streams, one after the other. number: of the line before the first."""
    for stream in streams:
        while line := stream.readline(MESSAGE_BYTES_MAX):
            number += 1
            if len(line) == MESSAGE_BYTES_MAX and not line.endswith(b"\n"):
                raise MessageFileError(
                    f"line {number} is longer than {MESSAGE_BYTES_MAX:,} bytes: no broker takes that"
                )
            if line.strip():
                yield MessageLine(number, line.rstrip(b"\r\n"))


def _written(number: int, element: object) -> bytes:
    try:
        return encode(element)
    except UnicodeEncodeError:
        raise MessageFileError(f"element {number} holds half of a surrogate pair, which is no text") from None


def _is_json(text: bytes) -> bool:
    try:
        read_json(text)
    except MalformedJsonError:
        return False
    return True
