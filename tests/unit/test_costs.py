"""What the rules cost a payment, in what can be counted: calls and memory. Each bound is a fifth above what it was."""

import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any, TypeVar

from uuid_utils.compat import uuid7

from schemas.registration import Identifier
from tests.builders import a_message, a_policy, an_invoice, body
from worker.domain.request import Request, read_request
from worker.domain.settlement import Settlement, settle
from worker.domain.view import Held, Moment, View

PAYMENTS = 250
NOW = Moment(datetime(2026, 1, 1, tzinfo=UTC))
POLICY = a_policy()
MESSAGES = [a_message(body(billcode=f"b{n}", amount="1.00"), message_id=f"key-{n}") for n in range(PAYMENTS)]
READING_CALLS_MAX = 197
SETTLING_CALLS_MAX = 275
READING_BYTES_MAX = 3_200
SETTLING_BYTES_MAX = 4_650
Result = TypeVar("Result")


def read() -> list[Request]:
    return [read_request(message, POLICY, NOW.today) for message in MESSAGES]


def settle_all(requests: list[Request], view: View) -> list[Settlement]:
    return settle(requests, view, {POLICY.company: POLICY}, NOW, uuid7)[0]


def view_of(requests: list[Request]) -> View:
    names = [Identifier("billcode", f"b{n}") for n in range(PAYMENTS)]
    return View(
        held={request.identity: Held(number) for number, request in enumerate(requests)},
        invoices={number: an_invoice(number=number, names=[name]) for number, name in enumerate(names)},
        named={(POLICY.company, name): number for number, name in enumerate(names)},
    )


def calls(work: Callable[[], Result]) -> tuple[Result, int]:
    """Return what the work comes to, and how many calls a payment it takes, of Python's functions and of C's."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = work()
    finally:
        sys.setprofile(before)
    return result, count // PAYMENTS


def kept_bytes(work: Callable[[], Result]) -> tuple[Result, int]:
    """Return what the work comes to, and how much memory a payment it takes at its peak."""
    tracemalloc.start()
    try:
        result = work()
        return result, tracemalloc.get_traced_memory()[1] // PAYMENTS
    finally:
        tracemalloc.stop()


def test_a_payment_takes_few_calls() -> None:
    read_request(MESSAGES[0], POLICY, NOW.today)  # what is looked up once is none of it
    requests, reading = calls(read)
    view = view_of(requests)
    settlements, settling = calls(lambda: settle_all(requests, view))
    assert len(settlements) == PAYMENTS
    assert reading <= READING_CALLS_MAX
    assert settling <= SETTLING_CALLS_MAX


def test_a_payment_takes_little_memory() -> None:
    requests, reading = kept_bytes(read)
    view = view_of(requests)
    _, settling = kept_bytes(lambda: settle_all(requests, view))
    assert reading <= READING_BYTES_MAX
    assert settling <= SETTLING_BYTES_MAX
