from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.codec import parse, read_json
from schemas.invalid import InvalidMessageError
from schemas.registration import Cancellation
from schemas.sources import SOURCES
from schemas.sources.cancel import CANCEL, PaymentCancel, response, to_cancellation
from tests.builders import DEFAULTS

EXAMPLES = Path(schemas.__file__).parent / "examples" / CANCEL.message_type


def read(**said: Any) -> Cancellation:
    return to_cancellation(parse(PaymentCancel, said), DEFAULTS)


def refusal(said: object) -> str:
    with pytest.raises(InvalidMessageError) as refused:
        parse(PaymentCancel, said)
    return str(refused.value)


def example(name: str) -> Cancellation:
    return to_cancellation(parse(PaymentCancel, read_json((EXAMPLES / f"{name}.json").read_bytes())), DEFAULTS)


def an_outcome(**changes: Any) -> Any:
    told = {"statusid": 11, "status": "CANCELLED", "reason": "cancelled", "statustext": "Cancelled", "payment_id": 8}
    return {**told, "cancels": {"payment_id": 7, "idempotency_key": "key-7"}, **changes}


def test_a_cancellation_names_a_payment_and_may_say_why() -> None:
    assert example("minimal") == Cancellation(source="payment.cancel.v1", payment_key="bank-2017-10-10-0001")
    assert example("with-reason") == Cancellation(
        source="payment.cancel.v1", payment_key="RG TEST/001", why="Paid twice, Järvinen Äijö 💶"
    )


def test_a_blank_reason_is_none() -> None:
    assert read(payment="key-7", reason="") == read(payment="key-7", reason=None) == read(payment="key-7")


def test_a_payment_must_be_named() -> None:
    assert refusal({}) == refusal({"payment": None}) == refusal({"payment": ""}) == "payment Field required"
    assert refusal([]) == "message must be a JSON object"


@pytest.mark.parametrize("key", [" ", "\t\n", "x" * 256])
def test_a_key_that_no_payment_can_have_is_refused(key: str) -> None:
    assert refusal({"payment": key}) == "payment must be text of 1 to 255 characters"


@pytest.mark.parametrize("key", ["a\x00b", "a\ud800"])
def test_a_key_that_cannot_be_stored_is_refused(key: str) -> None:
    assert refusal({"payment": key}) == "payment holds a NUL or a lone surrogate, which is no text"


@pytest.mark.parametrize("key", [7, True, ["key-7"], {"key": "key-7"}])
def test_a_key_is_text(key: object) -> None:
    assert refusal({"payment": key}).startswith("payment ")


def test_a_key_is_taken_as_it_stands() -> None:
    assert read(payment=" RG 1 ").payment_key == " RG 1 "
    assert read(payment="Ä" * 255).payment_key == "Ä" * 255


def test_the_answer_names_the_payment_that_was_cancelled_not_the_cancellation() -> None:
    assert response(an_outcome(), parse(PaymentCancel, {"payment": "key-7"})) == {
        "payment": "key-7",
        "payment_id": 7,
        "statusid": 11,
        "status": "CANCELLED",
        "reason": "cancelled",
        "statustext": "Cancelled",
    }


@pytest.mark.parametrize("cancels", [None, {"payment_id": None, "idempotency_key": "key-7"}])
def test_a_payment_that_is_not_known_has_no_id(cancels: object) -> None:
    answer = response(
        an_outcome(reason="payment_not_found", cancels=cancels), parse(PaymentCancel, {"payment": "key-7"})
    )
    assert (answer["payment"], answer["payment_id"], answer["reason"]) == ("key-7", None, "payment_not_found")


def test_an_invalid_cancellation_is_answered_without_a_payment() -> None:
    answer = response(an_outcome(reason="invalid", cancels=None), None)
    assert (answer["payment"], answer["payment_id"], answer["reason"]) == (None, None, "invalid")


def test_its_own_key_is_in_no_field_of_the_body() -> None:
    assert CANCEL.key_field is None
    assert SOURCES["payment.cancel.v1"] is CANCEL
