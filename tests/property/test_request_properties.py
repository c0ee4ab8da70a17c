import json
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from schemas.invoice import InvoicePut
from schemas.limits import FIELD_ERRORS_MAX
from tests.builders import EXAMPLE, TODAY, Books, a_message, a_policy
from worker.domain.errors import RefusedError
from worker.domain.message import Message
from worker.domain.policy import Policy
from worker.domain.request import Request, read_request, read_statement

TEXT = st.text(st.characters(), max_size=20)  # surrogates and NUL included
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
FIELDS = st.sampled_from([*EXAMPLE, "jobid", "capital", "version", "state", "account", "number", "unconditional"])
MESSAGES = st.builds(
    lambda changes, noise, properties: a_message(
        json.dumps({**EXAMPLE, **changes} if changes is not None else noise).encode(), **properties
    ),
    st.none() | st.dictionaries(FIELDS, JSON, max_size=3),
    JSON,
    st.fixed_dictionaries(
        {"message_id": st.none() | TEXT},
        optional={
            "headers": st.dictionaries(
                st.sampled_from(["idempotency-key", "traceparent", "tracestate"]), SCALARS | st.binary(max_size=5)
            ),
            "correlation_id": TEXT,
            "reply_to": TEXT,
            "content_type": st.sampled_from(["application/json", "text/plain", ""]),
            "type": st.sampled_from(["ropo.payment.v1", "invoice.put.v1", "wallet.put.v1", ""]),
        },
    ),
)


def read_today(message: Message, policy: Policy) -> Request:
    return read_request(message, policy, TODAY)


Read = TypeVar("Read")


def read_or_refused(read: Callable[[Message, Policy], Read], message: Message) -> Read | None:
    """What was read, or None for a message that was refused. Whatever else is raised is a bug."""
    refused: RefusedError | None = None
    try:
        return read(message, a_policy())
    except RefusedError as error:
        refused = error
    assert refused.text
    assert len(refused.errors) <= FIELD_ERRORS_MAX + 1
    return None


@given(MESSAGES)
def test_whatever_comes_is_refused_or_answered(message: Message) -> None:
    request = read_or_refused(read_today, message)
    if request is not None:
        settled = Books().settle_one(request)
        assert (request.registration is None) == bool(request.errors)
        assert settled.body.decode()
        assert "\x00" not in request.key


@given(MESSAGES)
def test_whatever_comes_as_a_statement_is_refused_or_has_a_name(message: Message) -> None:
    put = read_or_refused(read_statement, message)
    assert put is None or (put.identifiers() if isinstance(put, InvoicePut) else put.names())


@given(st.binary() | st.text().map(str.encode) | st.text('[]{}",:0123456789.eE+-NatrufalsI').map(str.encode))
def test_whatever_bytes_come_are_refused_or_read(content: bytes) -> None:
    read_or_refused(read_today, a_message(content))
