"""What the fuzzer found, each once more as what it meant."""

import io
import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pamqp.commands import Basic

from tests.fuzz.wire import HEADERS, TIMESTAMP, short, table, unmarshalled
from worker.broker import wire
from worker.broker.delivery import Delivery
from worker.broker.diversion import read_dead_letter
from worker.broker.properties import copied, copyable, from_json, restored, to_json
from worker.cli.invoice_file import InvoiceFile, InvoiceFileError
from worker.cli.message_file import MessageFileError, read_messages
from worker.domain.errors import DeadLetterReason

wire.tolerate()


def copy_of(properties: Basic.Properties) -> Basic.Properties:
    return restored(unmarshalled(copied(properties, {}).marshal()))


@pytest.mark.parametrize(
    "value", [0.1, 1e300, 1_500_000_000_123, -(2**63), Decimal("0.01"), [0.1, {"a": 0.1}], bytearray(b"\xff")]
)
def test_a_copy_says_a_header_to_its_last_digit(value: Any) -> None:
    assert copy_of(Basic.Properties(headers={"h": value})).headers == {"h": value}


def test_a_copy_keeps_a_timestamp_that_its_sender_counts_in_milliseconds() -> None:
    sent = unmarshalled(struct.pack(">HQ", 1 << TIMESTAMP, 1_500_000_000_123))
    assert copied(sent, {}).marshal().endswith(struct.pack(">Q", 1_500_000_000_123))
    assert from_json(to_json(sent)).marshal() == sent.marshal()


@pytest.mark.parametrize(
    "inner", [{"$float": "x"}, {"$bytes": "no base64"}, {"$decimal": "x", "other": 1}, {"$$": "$"}]
)
def test_a_header_that_is_named_like_a_type_comes_back_as_it_was(inner: dict[str, Any]) -> None:
    headers: dict[str, Any] = {"h": inner, "$timestamp": "$"}
    assert from_json(json.loads(json.dumps(to_json(Basic.Properties(headers=headers))))).headers == headers


def test_a_header_whose_name_the_driver_would_cut_is_not_copied() -> None:
    assert copyable(Basic.Properties(headers={"ä" * 64: 1}))
    assert not copyable(Basic.Properties(headers={"ä" * 65: 1}))
    assert not copyable(Basic.Properties(headers={"inner": [{"n" * 129: 1}]}))


@pytest.mark.parametrize("flags_and_value", [struct.pack(">HB", 1 << 12, 0), struct.pack(">H", 1 << 2) + short(b"c")])
def test_a_dead_letter_with_a_property_that_the_driver_finds_wrong_can_be_replayed(flags_and_value: bytes) -> None:
    letter = read_dead_letter(Delivery(1, "registration.acme", b"", unmarshalled(flags_and_value)))
    assert copyable(from_json(letter.properties))


@pytest.mark.parametrize("said", [b"[NaN]", b"[" * 70_000, b"{}", b"[1]", b'[{"field": 1}]', b'["\\ud800"]', b"\xff"])
def test_a_dead_letter_whose_errors_are_made_up_is_filed_as_poison_without_them(said: bytes) -> None:
    """They used to be kept as they were: Postgres refuses such JSON, and no dead letter behind it was filed."""
    texts = {"reason": b"invalid", "error": b"e", "errors": said}
    fields = [
        short(b"payment-worker-" + name.encode()) + b"S" + struct.pack(">I", len(text)) + text
        for name, text in texts.items()
    ]
    properties = unmarshalled(struct.pack(">H", 1 << HEADERS) + table(*fields))
    letter = read_dead_letter(Delivery(1, "registration.acme", b"", properties))
    assert (letter.reason, letter.errors) == (DeadLetterReason.POISON, ())


def test_a_header_line_that_is_no_csv_is_told_in_a_line() -> None:
    with pytest.raises(InvoiceFileError, match="header line that is no CSV"):
        list(InvoiceFile(io.BytesIO(b"capital\rbillcode\n1,2\n"), Path("invoices.csv")).rows())


def test_an_array_of_messages_with_half_a_surrogate_pair_is_told_in_a_line() -> None:
    with pytest.raises(MessageFileError, match="element 2 holds half of a surrogate pair"):
        list(read_messages(io.BytesIO(b'[{},\n{"a": "\\ud800"}]')))
