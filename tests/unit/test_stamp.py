"""Stamped properties are read by the driver as its own would be."""

from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker.stamp import Stamp, Stamped

SHORT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
LONG = st.text(st.characters(codec="utf-8"), max_size=1_000)


@given(
    shared=st.dictionaries(SHORT, LONG | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=3),
    own=st.dictionaries(SHORT, LONG, max_size=3),
    message_id=SHORT,
    correlation_id=st.none() | st.just("") | SHORT,
)
def test_they_say_what_the_drivers_own_say(
    shared: dict[str, str | int | bool], own: dict[str, str], message_id: str, correlation_id: str | None
) -> None:
    stamped = Stamped(Stamp("application/json", 2, "payment.outcome.v1", shared), message_id, correlation_id, own)
    read = ContentHeader()
    read.unmarshal(b"\0\x3c\0\0" + bytes(8) + stamped.marshal())
    assert dict(read.properties) == dict(
        Basic.Properties(
            content_type="application/json",
            delivery_mode=2,
            message_type="payment.outcome.v1",
            headers={**shared, **own},
            message_id=message_id,
            correlation_id=correlation_id or None,
        )
    )
