"""How a file is cut into messages: as lines or as one document, and out of a pipe as out of a file."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest

from worker.cli.message_file import MessageFileError, MessageLine, open_messages, read_messages
from worker.limits import DOCUMENT_BYTES_MAX

Cut = Callable[[bytes], list[MessageLine]]


def cut_file(content: bytes) -> list[MessageLine]:
    return list(read_messages(io.BytesIO(content)))


def cut_pipe(content: bytes) -> list[MessageLine]:
    with TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        try:
            with open_messages(str(pipe)) as stream:
                return list(read_messages(stream))
        finally:
            writer.join()


@pytest.fixture(params=[cut_file, cut_pipe])
def cut(request: pytest.FixtureRequest) -> Cut:
    return cast("Cut", request.param)


def test_a_document_over_lines_is_its_messages(cut: Cut) -> None:
    assert cut(b'[\n  {"a": 1},\n  {"b": 2}\n]\n') == [(1, b'{"a":1}'), (2, b'{"b":2}')]
    assert cut(b'\n\n{"a": 1,\n "b": 2}\n') == [(3, b'{"a": 1,\n "b": 2}')]


@pytest.mark.parametrize(
    "content",
    [
        b'{broken\n{"a": 1}\n',
        b'{"a": 1}\n{broken\n',
        b'[1]\n{"a": 1}\n',
        b'{"a": 1,\n{"a": 1}',
        b"{",
        b"[\n\n",
        b"",
    ],
)
def test_lines_that_make_no_document_are_messages_whatever_they_hold(cut: Cut, content: bytes) -> None:
    assert cut(content) == [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line]


def test_lines_that_no_document_begins_are_read_to_the_end_however_many(cut: Cut) -> None:
    count = DOCUMENT_BYTES_MAX // 500 + 10
    lines = cut(b"{broken\n" + (b'{"a": "' + b"x" * 500 + b'"}\n') * count)
    assert [number for number, _ in lines] == list(range(1, count + 2))
    assert {len(body) for _, body in lines[1:]} == {509}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'[\n  {"a": 1},\n]\n', "line 3 column 1"),
        (b'[{"a": 1},\n{"a": 2}\n,]\n', "line 3 column 2"),
        (b'\n{\n  "a": 1\n', "that line 2 begins"),
        (b'[\n"' + b"x" * DOCUMENT_BYTES_MAX + b'"\n]', "put each message on a line"),
    ],
    ids=["a comma too many", "one within", "cut off", "too long"],
)
def test_no_line_of_a_document_that_cannot_be_read_is_taken_for_a_message(cut: Cut, content: bytes, why: str) -> None:
    with pytest.raises(MessageFileError, match=why):
        cut(content)


def test_a_stdin_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(MessageFileError, match="it is closed"), open_messages("-"):
        pass


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_message(cut: Cut) -> None:
    assert cut(b'\xef\xbb\xbf{"a":\n1}\n') == [(1, b'{"a":\n1}')]
    assert cut(b'\xef\xbb\xbf{"a": 1}\n{"b": 2}') == [(1, b'{"a": 1}'), (2, b'{"b": 2}')]
