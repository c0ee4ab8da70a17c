from decimal import Decimal

import pytest

from schemas.codec import encode, read_json
from schemas.invalid import MalformedJsonError


def refusal(body: bytes) -> str:
    with pytest.raises(MalformedJsonError) as refused:
        read_json(body)
    return str(refused.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Expecting value at line 1 column 1"),
        (b"{", "at line 1 column 2"),
        (b'{"a": 1} x', "Extra data at line 1 column 10"),
        (b"{'a': 1}", "line 1 column 2"),
        (b'{"a": 01}', "line 1"),
        (b'{"a": +1}', "line 1"),
        (b'{"a": "tab\t"}', "Invalid control character"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8 at byte 7"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b'\xef\xbb\xbf{"a": 1}', "line 1 column 1"),
        (b'{"a": 1, "a": 1}', "a name stands twice in one object"),
        (b'{"b": [{"a": 1, "\\u0061": 2}]}', "a name stands twice in one object"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body: bytes, text: str) -> None:
    assert text in refusal(body)


def test_the_same_name_in_two_objects_is_no_clash() -> None:
    assert read_json(b'{"a": {"a": 1}}') == {"a": {"a": 1}}


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_64_levels_are_read_and_more_are_refused(start: str, end: str) -> None:
    read_json((start * 64 + "1" + end * 64).encode())
    assert refusal((start * 65 + "1" + end * 65).encode()) == "nested deeper than 64 levels"
    assert refusal((start * 20_000 + "1" + end * 20_000).encode()) == "nested deeper than 64 levels"


def test_brackets_side_by_side_or_within_text_are_no_nesting() -> None:
    assert read_json(b"[" + b"[]," * 100 + b"[]]") == [[]] * 101
    text = '[{"\\' * 100
    assert read_json(encode({"text": text})) == {"text": text}


def test_brackets_after_text_that_ends_in_an_escape_are_counted_again() -> None:
    assert refusal(b'["a\\\\",' + b"[" * 100 + b"]" * 101) == "nested deeper than 64 levels"
    assert refusal(b'["a\\"",' + b"[" * 100 + b"]" * 101) == "nested deeper than 64 levels"


def test_numbers_keep_their_digits() -> None:
    numbers = ["710.00", "0.10", "1E+2", "7", "-7", "9223372036854775807", "92233720368547758070"]
    read = read_json(f"[{','.join(numbers)}]".encode())
    assert isinstance(read, list)
    assert [str(number) for number in read] == numbers
    assert [type(number) for number in read[:6]] == [Decimal, Decimal, Decimal, int, int, int]


@pytest.mark.parametrize("said", ["1e99999999999999999999", "-1.5E-99999999999999999999", "0e99999999999999999999"])
def test_a_number_that_no_decimal_holds_is_json_and_reads_the_same_when_written_again(said: str) -> None:
    read = read_json(said.encode())
    assert isinstance(read, Decimal)
    assert read_json(encode(read)) == read


def test_a_number_of_many_digits_costs_no_time() -> None:
    assert read_json(b"9" * 60_000) == Decimal("9" * 60_000)
