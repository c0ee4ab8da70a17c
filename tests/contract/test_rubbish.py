"""Whatever bytes come, reading them ends in a message or in one of two errors that say why, and in nothing else."""

import json
import re
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalog
from schemas.codec import parse, read_json
from schemas.fields import WireModel
from schemas.invalid import InvalidMessageError, MalformedJsonError
from schemas.limits import FIELD_ERRORS_MAX
from worker.domain.errors import DeadLetterReason, RefusedError
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import read_request, read_statement

POLICY = Policy(company="acme", currency="EUR")
TODAY = date(2017, 10, 11)
ROPO = "ropo.payment.v1"
PUT = "invoice.put.v1"
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# JSON as text, so that it can hold what no JSON library would write.
tokens = st.sampled_from(
    [
        *("null", "true", "false", '""', "0", "-0", "-0.0", "1", "-1", "0.001", "710.00", "1e400", "-1e400", "1E-400"),
        *(
            "99999999999999999999",
            "1e99999999999999999999",
            "0e99999999999999999999",
            "9" * 5000,
            "0." + "0" * 5000 + "1",
        ),
        *("NaN", "Infinity", "-Infinity", "nan", "sNaN", "01", "+1", "1.", ".5", "0x1", "1_0", "undefined", ""),
        *(
            '"NaN"',
            '"sNaN"',
            '"Infinity"',
            '"1e400"',
            '"1e9999"',
            '"0e-9999"',
            '"0.001"',
            '"99999999999999999999"',
            '"٣"',
        ),
        *(r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', r'"a\u0000b"', '"\x00"', '"\n"', r'"\x41"', '"', "'a'"),
        *('"2017-02-30"', '"0000-00-00"', '"9999-99-99"', '"2017-10-10"', '"2017-10-10\\u0000"', '"OPEN"', '"EUR"'),
        *(
            "[" * 1000,
            "[" * 1000 + "]" * 1000,
            '{"a":' * 1000 + "1" + "}" * 1000,
            "{",
            "}",
            "]",
            "{,}",
            "[1,]",
            '{"a"}',
        ),
    ]
)
strings = st.text(st.characters(), max_size=10).map(json.dumps)
names = st.sampled_from(
    sorted({field for each in catalog.TYPES.values() for field in each.model.model_fields} | {"id", "number", "token"})
).map(json.dumps)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}: {}".format, names | strings, inner)
    return st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]") | objects(member)


def objects(member: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    # Members are not unique: a name may stand twice.
    return st.lists(member, max_size=8).map(lambda members: "{" + ", ".join(members) + "}")


values = st.recursive(tokens | strings | st.floats().map(str), containers, max_leaves=8)
SOUND = {
    ROPO: ['"amount": "710.00"', '"paydate": "2017-10-10"', '"billcode": "1234567"'],
    PUT: ['"capital": "710.00"', '"version": 1', '"billcode": "1234567"'],
}


@st.composite
def nearly_sound(draw: st.DrawFn, message_type: str) -> str:
    """A message with one member less, or some more that are anything."""
    kept = draw(st.lists(st.sampled_from(SOUND[message_type]), unique=True, min_size=2))
    more = draw(st.lists(st.builds("{}: {}".format, names, values), max_size=3))
    return "{" + ", ".join(draw(st.permutations(kept + more))) + "}"


bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda text: text.encode(errors="surrogatepass")),
    nearly_sound(ROPO).map(lambda text: text.encode(errors="surrogatepass")),
    nearly_sound(PUT).map(lambda text: text.encode(errors="surrogatepass")),
)


def read(message_type: str, body: bytes) -> WireModel | MalformedJsonError | InvalidMessageError:
    """Return the message, or why it is refused. Any other exception is the test's failure."""
    try:
        return parse(catalog.TYPES[message_type].model, read_json(body))
    except (MalformedJsonError, InvalidMessageError) as error:
        return error


def said(value: object) -> object:
    return vars(value) if isinstance(value, WireModel) else str(value)


def as_message(message_type: str, body: bytes) -> Message:
    key = catalog.routing_key(message_type, "acme")
    return Message(routing_key=key, body=body, type=message_type, message_id="key-1")


@pytest.mark.parametrize("message_type", catalog.TYPES)
@settings(max_examples=400, deadline=None)
@given(body=bodies)
def test_a_body_is_read_or_refused_with_a_reason(message_type: str, body: bytes) -> None:
    found = read(message_type, body)
    if isinstance(found, WireModel):
        # What was read can be stored and sent: text in it is text.
        assert not UNSTORABLE.search(json.dumps(vars(found), default=said, ensure_ascii=False))
        return
    assert str(found)
    assert not UNSTORABLE.search(str(found))
    if isinstance(found, InvalidMessageError):
        assert 1 <= len(found.errors) <= FIELD_ERRORS_MAX + 1
        assert all(each["field"] and each["message"] for each in found.errors)


def entered(enter: Callable[[Message, Policy], object], message: Message) -> DeadLetterReason | None:
    """Return why the message can only become a dead letter, or None where it came in."""
    try:
        enter(message, POLICY)
    except RefusedError as refusal:
        return refusal.reason
    return None


@settings(max_examples=400, deadline=None)
@given(body=bodies)
def test_at_the_door_only_what_is_no_json_remains_without_an_answer(body: bytes) -> None:
    """A registration that is invalid but has a key comes in, since it is to be answered; a statement has no answer."""
    is_json = not isinstance(read(ROPO, body), MalformedJsonError)
    registered = entered(lambda message, policy: read_request(message, policy, TODAY), as_message(ROPO, body))
    assert registered == (None if is_json else DeadLetterReason.MALFORMED_JSON)
    invalid = DeadLetterReason.INVALID if isinstance(read(PUT, body), InvalidMessageError) else None
    assert entered(read_statement, as_message(PUT, body)) == (invalid if is_json else DeadLetterReason.MALFORMED_JSON)


def refusal(message_type: str, members: str) -> str:
    with pytest.raises(InvalidMessageError) as refused:
        parse(catalog.TYPES[message_type].model, read_json(members.encode()))
    return str(refused.value)


@pytest.mark.parametrize(
    "amount",
    [
        *(
            "true",
            "false",
            "[]",
            "{}",
            '"abc"',
            '"NaN"',
            '"sNaN"',
            '"Infinity"',
            '"-Infinity"',
            '" 1"',
            '"1,00"',
            '"1_000"',
        ),
        *("1e400", "1e-400", '"1e400"', "99999999999999999999", '"99999999999999999999"', "9" * 5000, "-1", '"-0.01"'),
        *('"٣"', '"0x10"', r'"1\u0000"', r'"\ud800"', '"1e99999"', "0.0000000000000001", "1000000000000000"),
    ],
)
def test_what_is_no_amount_is_refused_by_name(amount: str) -> None:
    text = refusal(ROPO, '{"amount": ' + amount + ', "paydate": "2017-10-10", "billcode": "1234567"}')
    assert text.startswith("amount ")
    assert amount.strip('"') not in text.removeprefix("amount ") or len(amount) < 3


@pytest.mark.parametrize("amount", ["0.001", '"0.001"', "710.000", '"1e-3"'])
def test_an_amount_with_more_digits_than_the_currency_is_refused_never_rounded(amount: str) -> None:
    body = f'{{"amount": {amount}, "paydate": "2017-10-10", "billcode": "1234567"}}'.encode()
    request = read_request(as_message(ROPO, body), POLICY, TODAY)
    assert request.errors == ({"field": "amount", "message": "has more than the 2 decimal digits of EUR"},)


@pytest.mark.parametrize(
    "paydate",
    [
        "2017-02-29",
        "2017-13-01",
        "0000-01-01",
        "2017-10-10T00:00:00",
        "20171010",
        "2017-W41-2",
        "10.10.2017",
        "٢٠١٧-10-10",
    ],
)
def test_what_is_no_day_is_refused_by_name(paydate: str) -> None:
    text = refusal(ROPO, json.dumps({"amount": 1, "paydate": paydate, "billcode": "1"}))
    assert text.startswith("paydate ")


@pytest.mark.parametrize("field", ["billcode", "billnum", "identifier", "type", "creditnotebillnum", "description"])
@pytest.mark.parametrize("text", [r"\u0000", r"a\ud800", r"\udc00\ud800", "x" * 4001])
def test_text_that_cannot_be_stored_is_refused_by_name(field: str, text: str) -> None:
    raw = '{"amount": 1, "paydate": "2017-10-10", "jobid": 1, "' + field + '": "' + text + '"}'
    assert refusal(ROPO, raw).startswith(f"{field} ")


@pytest.mark.parametrize("field", ["state", "currency", "due_date", "account", "version", "capital", "jobid"])
@pytest.mark.parametrize("value", [r'"\u0000"', r'"\ud800"', "true", "[]", "1.5e400", "[[{}]]"])
def test_a_statement_with_such_a_value_is_refused_by_name(field: str, value: str) -> None:
    sound = {"capital": "1", "version": "1", "billcode": '"1"'} | {field: value}
    raw = "{" + ", ".join(f'"{name}": {said}' for name, said in sound.items()) + "}"
    assert refusal(PUT, raw).startswith(field)


def test_unknown_fields_may_be_anything_and_are_told_nowhere() -> None:
    body = rb'{"\ud800":1,"\u0000":2,"": 9e9999999999999999999, "amount": 1,"paydate": "2017-10-10", "billcode": "1"}'
    assert isinstance(read(ROPO, body), WireModel)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff", b"\x00", b"{", b"[" * 65536, b'{"a":' * 13000, b"9e9e9"),
        *(
            b'{"amount": NaN}',
            b'{"amount": 1, "amount": 1}',
            b'{"amount": 1, "\\u0061mount": 1}',
            b"{}{}",
            b"\xef\xbb\xbf{}",
        ),
    ],
)
def test_what_is_no_json_is_refused_whatever_message_it_was_to_be(body: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        read_json(body)
    with pytest.raises(RefusedError) as refused:
        read_request(as_message(ROPO, body), POLICY, TODAY)
    assert refused.value.reason is DeadLetterReason.MALFORMED_JSON
