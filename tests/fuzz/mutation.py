"""Changes to a message that mean something: to the JSON in it, value by value, and now and then to its bytes."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from schemas import catalog

WORDS = (
    *("null", "true", "false", '""', "{}", "[]", "0", "-0", "-0.0", "1", "-1", "0.001", "710.00", "1e2", "1E-2"),
    *("1e400", "1e9999", "1e999999999", "1e99999999999999999999", "0e-9999", "9" * 15, "9" * 16, "9" * 19, "9" * 20),
    *("9" * 5000, "9223372036854775807", "9223372036854775808", "0." + "0" * 400 + "1", "NaN", "-Infinity", "01"),
    *("+1", ".5", "1_0", '"710.00"', '"-0"', '"1e9999"', '"0e-9999"', '"NaN"', '"Infinity"', '"٣"', '"½"', '"1,00"'),
    *('" 1"', '"all"', '"2017-10-10"', '"2017-02-30"', '"0000-01-01"', '"9999-12-31"', '"OPEN"', '"EUR"', '"JPY"'),
    *('"CLF"', '"XAU"', '"CANCELLED"', '"FINAL"', '"pro-rata"', '"token"', '"Visa"', '"visa "', r'"\u0000"', r'"\/"'),
    *('"2017-10-10 10:00:00.123456+23:59"', r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', '"\u2028\ufeff"'),
    '"' + "x" * 256 + '"',
)
"""Values as they stand in a body, sound and not."""
SNIPPETS = (
    *(b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\xd9\xa3", b"\x1f"),
    *(b"\\", b'"', b"\\ud800", b"\n", b"{", b"}", b"[", b"]", b",", b":", b"[" * 70, b'{"a":' * 70, b"e", b".", b"-"),
    b"0" * 40,
)
NAMES = sorted(
    {name for each in catalog.TYPES.values() for name in each.model.model_fields} | {"token", "percent", "x"}
)


class Word(str):
    """A value as it stands in the text."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object's members, in order; a name may stand twice."""


_DECODER = json.JSONDecoder(parse_float=Word, parse_int=Word, parse_constant=Word, object_pairs_hook=Members)


INPUT_BYTES_MAX = 80 * 1024
"""More than a body may have."""


def mutated(data: bytes, random: Random) -> bytes:
    """Return the input changed in one to four places. Its first line says what it is, and stays as it is mostly."""
    changed = _mutated(data, random)
    return changed if len(changed) <= INPUT_BYTES_MAX else _spliced(data, random)


def _mutated(data: bytes, random: Random) -> bytes:
    head, body = b"", data
    value = _decoded(body)
    if value is None:
        head, newline, body = data.partition(b"\n")
        if random.random() < 0.02:
            head = random.choice([*map(str.encode, catalog.TYPES), _spliced(head, random)])
        head += newline
        value = _decoded(body)
    if value is None:
        return _spliced(data, random)
    for _ in range(random.randint(1, 4)):
        value = _changed(value, random)
    body = _text(value).encode(errors="surrogatepass")
    return head + (_spliced(body, random) if random.random() < 0.1 else body)


def _decoded(body: bytes) -> Any:
    """Return the JSON value that the bytes are; None where they are none."""
    try:
        return _DECODER.decode(body.decode(errors="surrogatepass"))
    except (ValueError, RecursionError):
        return None


def _changed(value: Any, random: Random) -> Any:
    """Return the value with a change somewhere in it: the deeper, the less likely."""
    if isinstance(value, list) and value and random.random() < 0.7:
        index = random.randrange(len(value))
        if isinstance(value, Members):
            name, inner = value[index]
            return Members([*value[:index], (name, _changed(inner, random)), *value[index + 1 :]])
        return [*value[:index], _changed(value[index], random), *value[index + 1 :]]
    return random.choice(_CHANGES)(value, random)


def _any(_value: Any, random: Random) -> Any:
    return Word(random.choice(WORDS))


def _one_more(value: Any, random: Random) -> Any:
    if isinstance(value, Members):
        known = [name for name, _ in value]
        name = random.choice([*known, *NAMES] if random.random() < 0.9 else ["\ud800", "\0", "x" * 256])
        inner = random.choice(value)[1] if value and random.random() < 0.3 else _any(None, random)
        return Members([*value, (name, inner)])
    return [*value, *value[:1]] if isinstance(value, list) else [value]


def _one_less(value: Any, random: Random) -> Any:
    if isinstance(value, list) and value:
        index = random.randrange(len(value))
        return type(value)([*value[:index], *value[index + 1 :]])
    return None


def _wrapped(value: Any, random: Random) -> Any:
    for _ in range(random.choice([1, 1, 2, 62, 63, 64, 65])):
        value = [value] if random.random() < 0.5 else Members([(random.choice(NAMES), value)])
    return value


def _many(value: Any, random: Random) -> Any:
    count = random.choice([2, 2, 2, 3, 3, 3, 51, 501])
    return [value] * count if len(_text(value)) * count <= INPUT_BYTES_MAX else value


def _as_text(value: Any, _random: Random) -> Any:
    return str(value) if isinstance(value, Word) else Word(value) if isinstance(value, str) else value


_CHANGES: list[Callable[[Any, Random], Any]] = [_any, _any, _one_more, _one_more, _one_less, _wrapped, _many, _as_text]


def _text(value: Any) -> str:
    match value:
        case Word():
            return str(value)
        case Members():
            return "{" + ",".join(f"{json.dumps(name)}:{_text(inner)}" for name, inner in value) + "}"
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case _:
            return json.dumps(value)


def _spliced(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    end = min(start + random.choice([0, 0, 1, 2, 8]), len(data))
    put = random.choice([*SNIPPETS, random.choice(WORDS).encode(), random.randbytes(2), data[start : start + 8]])
    return data[:start] + put + data[end:]
