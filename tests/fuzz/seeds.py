"""Where the fuzzer begins: the golden messages, and inputs of the shapes that they do not have."""

import struct
from pathlib import Path

import schemas
from schemas import catalog
from tests.fuzz.mutation import WORDS
from tests.fuzz.wire import HEADERS, short, table

EXAMPLES = Path(schemas.__file__).parent / "examples"


def seeds(target: str) -> list[bytes]:
    """Return the inputs that a target begins with."""
    return _SEEDS[target]


def _golden(topic: str) -> list[bytes]:
    names = [name for name, each in catalog.TYPES.items() if each.topic == topic]
    return [name.encode() + b"\n" + path.read_bytes() for name in names for path in sorted((EXAMPLES / name).iterdir())]


def _flagged(*bits: int) -> bytes:
    return struct.pack(">H", sum(1 << bit for bit in bits))


_REGISTRATIONS = _golden("registration")
_STATEMENTS = _golden("invoice")
_BODIES = [each.partition(b"\n")[2] for each in _REGISTRATIONS + _STATEMENTS]
_FIELDS = {
    "text": b"Stext"[:1] + struct.pack(">I", 4) + b"text",
    "blob": b"S" + struct.pack(">I", 2) + b"\xff\xfe",
    "octets": b"x" + struct.pack(">I", 2) + b"\xff\xfe",
    "true": b"t\x01",
    "byte": b"b\xff",
    "long": b"l" + struct.pack(">q", -(2**63)),
    "float": b"f" + struct.pack(">f", 0.1),
    "double": b"d" + struct.pack(">d", 0.1),
    "decimal": b"D" + struct.pack(">Bi", 2, 71000),
    "time": b"T" + struct.pack(">Q", 1_500_000_000),
    "time-in-ms": b"T" + struct.pack(">Q", 1_500_000_000_123),
    "none": b"V",
    "list": b"A" + table(b"t\x01", b"V"),
    "table": b"F" + table(short(b"$float") + b"S" + struct.pack(">I", 1) + b"x"),
    "x-death": b"A" + table(b"F" + table(short(b"reason") + b"S" + struct.pack(">I", 14) + b"delivery_limit")),
    "x-delivery-count": b"l" + struct.pack(">q", 3),
    "idempotency-key": b"S" + struct.pack(">I", 5) + b"key-2",
    "payment-worker-errors": b"S" + struct.pack(">I", 5) + b"[NaN]",
    "payment-worker-reason": b"S" + struct.pack(">I", 7) + b"invalid",
    "payment-worker-error": b"S" + struct.pack(">I", 1) + b"e",
    "payment-worker-arrival": b"S" + struct.pack(">I", 1) + b"a",
    "payment-worker-original-expiration": b"S" + struct.pack(">I", 1) + b"1",
    "payment-worker-no-message-id": b"t\x01",
    "n" * 200: b"t\x01",
}
_PROPERTIES = [
    b"\0\0",
    _flagged(7) + short(b"key-1"),
    _flagged(7) + short(b"\xff"),
    _flagged(15, 14, 10, 9, 8, 5, 4, 3)
    + b"".join(short(each) for each in (b"a", b"b", b"c", b"d", b"1", b"t", b"u", b"x")),
    _flagged(12, 11, 6) + b"\x02\x09" + struct.pack(">Q", 1_500_000_000_123),
    _flagged(HEADERS) + table(*(short(name.encode()) + value for name, value in _FIELDS.items())),
    *(_flagged(HEADERS, 7) + table(short(name.encode()) + value) + short(b"k") for name, value in _FIELDS.items()),
]
_CSV = b'capital;billcode;version;account_number;currency\n1,00;"a""b";1;7;EUR\n2.00;"x\ny";;;\n"'
_SEEDS: dict[str, list[bytes]] = {
    "registration": _REGISTRATIONS,
    "statement": _STATEMENTS,
    "codec": [*_BODIES, *map(str.encode, WORDS)],
    "money": [*map(str.encode, WORDS), b"710.00", b"1e-2", b"007", b"-0.00"],
    "secrets": [
        *_REGISTRATIONS,
        b'\n{"token": "a", "\\u0074oken": {"token": [1, "\\"]"]}, "x": "token"',
        b'\n{"token"  :',
    ],
    "properties": _PROPERTIES,
    "invoice_file": [
        *(b"jsonl\n" + b"\n".join(_BODIES[-6:]) for _ in range(1)),
        b"csv\n" + _CSV,
        b"csv\n" + _CSV.replace(b";", b"\t"),
        b"\n\xef\xbb\xbf" + _CSV.replace(b";", b","),
        b"x\n \n{}\n",
    ],
    "message_file": [*_BODIES, b"[" + b",".join(_BODIES[:3]) + b"]", b"\n".join(_BODIES[:3]), b'["\\ud800"]'],
}
