"""The golden messages of schemas/examples: what has once been a message stays one, and means the same."""

import hashlib
import json
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

import schemas
from schemas import catalog
from schemas.codec import parse, read_json
from schemas.outcome import OUTCOME_TYPE
from schemas.registration import Identifier
from worker.domain.fingerprint import fingerprint
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import read_request, read_statement

ROOT = Path(schemas.__file__).parent
EXAMPLES = ROOT / "examples"
MANIFEST = EXAMPLES / "SHA256SUMS"
FILES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.json"))
POLICY = Policy(company="acme", currency="EUR")
TODAY = date(2017, 10, 11)


@cache
def validator(message_type: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "published" / f"{message_type}.json").read_text())
    return Draft202012Validator(schema, format_checker=FormatChecker())


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def as_message(name: str) -> Message:
    message_type = name.partition("/")[0]
    return Message(
        routing_key=catalog.routing_key(message_type, POLICY.company),
        body=example(name),
        type=message_type,
        message_id="key-1",
    )


def test_the_bytes_of_an_example_never_change() -> None:
    """A new example is a new line of the manifest (sha256sum */*.json > SHA256SUMS); an old line is never edited."""
    found = {f"{hashlib.sha256(example(name)).hexdigest()}  {name}" for name in FILES}
    assert found == set(MANIFEST.read_text().splitlines())


def test_each_message_type_has_examples() -> None:
    assert {name.partition("/")[0] for name in FILES} == {*catalog.TYPES, OUTCOME_TYPE}


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_what_the_published_schema_says(name: str) -> None:
    validator(name.partition("/")[0]).validate(read_json(example(name)))


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(OUTCOME_TYPE)])
def test_an_example_is_read_by_the_worker(name: str) -> None:
    message_type = catalog.TYPES[name.partition("/")[0]]
    assert parse(message_type.model, read_json(example(name)))
    if message_type.topic == "invoice":
        assert isinstance(read_statement(as_message(name), POLICY), message_type.model)
    else:
        assert not read_request(as_message(name), POLICY, TODAY).errors


def test_the_published_ropo_example_says_what_ropo_published() -> None:
    assert json.loads(example("ropo.payment.v1/published.json")) == {
        "amount": "710.00",
        "billcode": "1234567",
        "billnum": "R1234567",
        "paydate": "2017-10-10",
        "identifier": "insurance",
        "type": "directpayment",
        "creditnotebillnum": "26251",
        "description": "Payment received to the client bank account",
    }


def test_every_field_of_the_published_ropo_example_reaches_the_registration() -> None:
    registration = read_request(as_message("ropo.payment.v1/published.json"), POLICY, TODAY).registration
    assert registration is not None
    assert (registration.known_amount_minor, registration.currency) == (71000, "EUR")
    assert registration.paydate == date(2017, 10, 10)
    assert registration.payment_type == "directpayment"
    assert registration.details == {
        "identifier": "insurance",
        "description": "Payment received to the client bank account",
    }
    (line,) = registration.lines
    assert line.identifiers == (Identifier("billcode", "1234567"), Identifier("billnum", "R1234567"))
    assert line.references == {"creditnotebillnum": "26251"}


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("amount-as-number", "published"),
        ("amount-as-integer", "published"),
        ("by-jobid-as-text", "by-jobid"),
        ("blank-fields", "by-billnum"),
        ("unknown-fields", "by-billnum"),
    ],
)
def test_two_spellings_of_one_payment_mean_the_same(name: str, same: str) -> None:
    first, second = (read_request(as_message(f"ropo.payment.v1/{each}.json"), POLICY, TODAY) for each in (name, same))
    assert first.fingerprint == second.fingerprint is not None


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("published", "80c31834b0cc32d74a132007138ed0f67091a06a6602ba385ffd1ba340068c3e"),
        ("minimal", "476c080a95ea0d367d3c7bb3e65b909147c4ea3c622a04bc4b38ea9b0468fe36"),
    ],
)
def test_the_fingerprint_of_an_example_never_changes(name: str, digest: str) -> None:
    """Fingerprints are kept for ever: another one for the same payment would make its redelivery a conflict."""
    registration = read_request(as_message(f"ropo.payment.v1/{name}.json"), POLICY, TODAY).registration
    assert registration is not None
    assert fingerprint(registration).hex() == digest
