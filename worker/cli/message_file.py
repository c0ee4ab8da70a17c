"""A file of messages to publish, a line each; or a single JSON document laid out over many lines."""

import codecs
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
def open_messages(path: str) -> Iterator[BinaryIO]:
    """Open the file, "-" for stdin. A pipe is read to its end first: no broker waits for one that is slow."""
    if path == "-" and sys.stdin is None:
        raise MessageFileError("there is no stdin to read: it is closed")
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        if not stream.seekable():
            kept = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, kept)
            kept.flush()
            stream = cast("BinaryIO", kept)
        yield stream


def read_messages(stream: BinaryIO) -> Iterator[MessageLine]:
    """Return the messages in order, from the start of the stream; blank lines are none.

    Where the first line opens an object or an array that goes on, the file is one document, if it can be read as such.
    Raises MessageFileError at a line longer than any message, and at a document that cannot be read: an array, or an
    object that begins with a bracket alone.
    """
    stream.seek(0)
    first = next(_lines(stream), None)
    if first is not None and first.body.lstrip()[:1] in (b"{", b"[") and not _is_json(first.body):
        stream.seek(0)
        document = _document(stream.read(DOCUMENT_BYTES_MAX + 1).removeprefix(codecs.BOM_UTF8), first)
        if document is not None:
            return iter(document)
    stream.seek(0)
    return _lines(stream)


def _document(text: bytes, first: MessageLine) -> list[MessageLine] | None:
    """Return the messages of a document, one or an array of them; None where it is none, but perhaps lines."""
    try:
        whole = _whole(text)
    except MalformedJsonError as error:
        opening = first.body.strip()
        # No message is an array, and none is a bracket: else lines in the middle of the document could be sound ones.
        if (opening.startswith(b"[") or opening == b"{") and opening != text.strip():
            why = f"the JSON document that line {first.number} begins cannot be read: {error}"
            raise MessageFileError(why) from None
        return None
    if isinstance(whole, list):
        return [MessageLine(number, _written(number, element)) for number, element in enumerate(whole, start=1)]
    return [MessageLine(first.number, text.strip())]


def _whole(text: bytes) -> object:
    if len(text) > DOCUMENT_BYTES_MAX:
        raise MalformedJsonError(f"it has more than {DOCUMENT_BYTES_MAX:,} bytes; put each message on a line")
    return read_json(text)


def _lines(stream: BinaryIO) -> Iterator[MessageLine]:
    number = 0
    while line := stream.readline(MESSAGE_BYTES_MAX):
        number += 1
        if len(line) == MESSAGE_BYTES_MAX and not line.endswith(b"\n"):
            raise MessageFileError(f"line {number} is longer than {MESSAGE_BYTES_MAX:,} bytes, which no broker takes")
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
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
