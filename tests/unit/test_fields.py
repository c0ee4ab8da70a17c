from datetime import date
from typing import Any

import pytest

from schemas.codec import parse, read_json
from schemas.fields import Date, IntegerId, Name, Text, WireModel, storable
from schemas.invalid import InvalidMessageError
from schemas.limits import FIELD_ERRORS_MAX


class Wire(WireModel):
    name: Name | None = None
    text: Text | None = None
    number: IntegerId | None = None
    day: Date | None = None


def refusal(**fields: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidMessageError) as refused:
        parse(Wire, fields)
    return [(error["field"], error["message"]) for error in refused.value.errors]


def read(**fields: object) -> Wire:
    return parse(Wire, fields)


@pytest.mark.parametrize("said", ["2017-02-29", "2017-13-01", "2017-00-10", "2017-10-00", "2017-10-32", "0000-01-01"])
def test_a_date_that_does_not_exist_is_refused(said: str) -> None:
    assert refusal(day=said) == [("day", "is no day of the calendar")]


@pytest.mark.parametrize(
    "said",
    [
        "20171010",
        "2017-W41-2",
        "2017W412",
        "2017-283",
        "2017-10-10T00:00:00",
        "2017-10-10 ",
        " 2017-10-10",
        "2017-10-10\n",
        "10.10.2017",
        "17-10-10",
        "２０１７-10-10",
        "-2017-10-10",
        20171010,
        1507593600,
        True,
        ["2017-10-10"],
        {},
    ],
)
def test_a_date_in_any_other_form_is_refused(said: object) -> None:
    assert refusal(day=said) == [("day", "must be a date such as 2017-10-10")]


def test_a_leap_day_is_a_day() -> None:
    assert read(day="2016-02-29").day == date(2016, 2, 29)


@pytest.mark.parametrize(
    "said", ["a\x00b", "\x00", "a\ud800", "\udfffa"], ids=["NUL inside", "NUL", "the first surrogate", "the last"]
)
def test_text_that_postgres_cannot_hold_is_refused(said: str) -> None:
    message = "holds a NUL or a lone surrogate, which is no text"
    assert refusal(name=said) == [("name", message)]
    assert refusal(text=said) == [("text", message)]
    with pytest.raises(ValueError, match=message):
        storable(said)


@pytest.mark.parametrize("said", ["Å ž 漢", "😀", "\ud7ff\ue000", "\t\n\x01\x7f", " "], ids=ascii)
def test_any_other_text_is_kept_as_it_is(said: str) -> None:
    assert read(name=said).name == said
    assert storable(said) == said


def test_a_surrogate_pair_in_json_is_one_character() -> None:
    assert parse(Wire, read_json(b'{"name": "\\ud83d\\ude00"}')).name == "😀"


def test_a_name_has_at_most_255_characters_and_a_text_4000() -> None:
    assert read(name="ä" * 255, text="ä" * 4000)
    assert refusal(name="ä" * 256) == [("name", "is longer than 255 characters")]
    assert refusal(text="ä" * 4001) == [("text", "is longer than 4000 characters")]


@pytest.mark.parametrize("said", [5, True, 1.5, ["x"], {"x": 1}])
def test_what_is_no_string_is_no_name(said: object) -> None:
    assert refusal(name=said) == [("name", "Input should be a valid string")]


@pytest.mark.parametrize(
    ("said", "number"),
    [(0, 0), (156, 156), ("156", 156), ("007", 7), (2**63 - 1, 2**63 - 1), ("9223372036854775807", 2**63 - 1)],
)
def test_an_integer_id_is_a_number_or_a_string_of_digits(said: object, number: int) -> None:
    assert read(number=said).number == number


@pytest.mark.parametrize(
    "said",
    [True, False, 1.0, 156.5, "1.0", "-1", "+1", " 1", "1_0", "１", "0x1", "1" * 20, "x", [1], {}],
)
def test_nothing_else_is_an_integer_id(said: object) -> None:
    assert refusal(number=said) == [("number", "must be an integer")]


@pytest.mark.parametrize("said", [b"156", b"156.0", b"1.56e2", b"156.00000000000000000000000000000000000"])
def test_an_integer_id_is_what_json_schema_calls_an_integer(said: bytes) -> None:
    number = parse(Wire, read_json(b'{"number": %b}' % said)).number
    assert (number, type(number)) == (156, int)


@pytest.mark.parametrize(
    "said",
    [
        *(b"156.5", b"-1.0", b"1e19", b"1e999999999999999999", b"1e9999999999999999999", b"1e-999999999999999999"),
        *(b"156.00000000000000000000000000000000001", b"9223372036854775808.0", b"1" * 5000),
    ],
)
def test_a_number_that_is_no_integer_id_is_refused_as_it_comes_from_json(said: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="number must be an integer"):
        parse(Wire, read_json(b'{"number": %b}' % said))


@pytest.mark.parametrize("said", [-1, 2**63, "9223372036854775808", 99999999999999999999])
def test_an_integer_id_lies_within_what_the_books_hold(said: object) -> None:
    assert refusal(number=said) == [("number", "must lie between 0 and 9223372036854775807")]


def test_null_and_the_empty_string_mean_not_given() -> None:
    assert read(name=None, text="", number="", day=None) == Wire()


def test_zero_and_false_are_not_taken_for_absent() -> None:
    assert read(number=0).number == 0
    assert refusal(number=False) == [("number", "must be an integer")]


def test_unknown_fields_are_ignored() -> None:
    assert read(name="x", surprise="\x00", another={"deep": [1]}) == Wire(name="x")


@pytest.mark.parametrize("raw", [None, [], "text", 5, True, [{}]])
def test_a_body_that_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        parse(Wire, raw)
    assert refused.value.errors == [{"field": "message", "message": "must be a JSON object"}]


def test_all_wrong_fields_are_told_at_once_without_their_values() -> None:
    told = refusal(name="secret\x00", number="secret", day="secret")
    assert [field for field, _ in told] == ["name", "number", "day"]
    assert "secret" not in str(told)


def test_no_more_than_twenty_field_errors_are_told_and_the_rest_is_counted() -> None:
    class Many(WireModel):
        numbers: list[IntegerId]

    def told(wrong: int) -> list[tuple[str, str]]:
        with pytest.raises(InvalidMessageError) as refused:
            parse(Many, {"numbers": ["x"] * wrong})
        return [(error["field"], error["message"]) for error in refused.value.errors]

    each = [(f"numbers.{index}", "must be an integer") for index in range(FIELD_ERRORS_MAX)]
    assert told(FIELD_ERRORS_MAX) == each
    assert told(FIELD_ERRORS_MAX + 3) == [*each, ("message", "has 3 more errors")]
