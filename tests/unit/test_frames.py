"""The frames as the driver's own encoder and decoder see them: both must say the same of the same bytes."""

import pamqp.frame
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.broker import frames
from worker.broker.link import BODY, FRAME, HEADER

CHANNELS = st.integers(1, 65_535)
TAGS = st.integers(1, 2**63 - 1)
NAMES = st.text(max_size=60)
FRAME_MAX = 4_096


def payload_of(frame: bytes) -> bytes:
    return frame[FRAME.size : -1]


def decoded(encoded: bytes) -> list[tuple[int, object]]:
    """Return channel and frame of each, as the driver reads them."""
    found: list[tuple[int, object]] = []
    while encoded:
        length, channel, frame = pamqp.frame.unmarshal(encoded)
        found.append((channel, frame))
        encoded = encoded[length:]
    return found


@given(CHANNELS, NAMES, NAMES, st.binary(max_size=3 * FRAME_MAX))
def test_a_publish_is_read_by_the_driver_as_it_was_meant(
    channel: int, exchange: str, routing_key: str, body: bytes
) -> None:
    properties = Basic.Properties(message_id="m", delivery_mode=2, headers={"n": 1})
    encoded = frames.published(channel, exchange, routing_key, properties.marshal(), body, FRAME_MAX)

    (_, method), (_, header), *parts = decoded(encoded)
    assert isinstance(method, Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == (exchange, routing_key, True)
    assert isinstance(header, ContentHeader)
    assert (header.body_size, dict(header.properties)) == (len(body), dict(properties))
    bodies = [part.value for _, part in parts if isinstance(part, ContentBody)]
    assert b"".join(bodies) == body
    assert len(bodies) == len(parts)
    assert all(len(part) + FRAME.size + 1 <= FRAME_MAX for part in bodies)
    assert {number for number, _ in decoded(encoded)} == {channel}


@given(CHANNELS, TAGS)
def test_acknowledgements_are_read_by_the_driver_as_they_were_meant(channel: int, tag: int) -> None:
    ((number, ack),) = decoded(frames.acknowledged(channel, tag))
    assert isinstance(ack, Basic.Ack)
    assert (number, ack.delivery_tag, ack.multiple) == (channel, tag, True)

    ((number, reject),) = decoded(frames.rejected(channel, tag))
    assert isinstance(reject, Basic.Reject)
    assert (number, reject.delivery_tag, reject.requeue) == (channel, tag, False)


@given(TAGS, NAMES, st.booleans())
def test_a_delivery_of_the_drivers_is_read_as_it_was_meant(tag: int, routing_key: str, redelivered: bool) -> None:  # noqa: FBT001
    deliver = Basic.Deliver("consumer", tag, redelivered, "payments", routing_key)
    payload = payload_of(pamqp.frame.marshal(deliver, 1))

    assert frames.method_of(payload) == frames.DELIVER
    assert frames.read_deliver(payload) == (tag, "payments", routing_key, redelivered)


@given(NAMES, st.sampled_from(["", "payments.outcomes"]), NAMES)
def test_a_return_of_the_drivers_is_read_as_it_was_meant(reply_text: str, exchange: str, routing_key: str) -> None:
    payload = payload_of(pamqp.frame.marshal(Basic.Return(312, reply_text, exchange, routing_key), 1))

    assert frames.method_of(payload) == frames.RETURN
    assert frames.read_return(payload) == (exchange, routing_key)


@given(TAGS, st.booleans())
def test_confirms_of_the_drivers_are_read_as_they_were_meant(tag: int, multiple: bool) -> None:  # noqa: FBT001
    for answer, method in ((Basic.Ack(tag, multiple), frames.ACK), (Basic.Nack(tag, multiple), frames.NACK)):
        payload = payload_of(pamqp.frame.marshal(answer, 1))
        assert frames.method_of(payload) == method
        assert frames.read_answer(payload) == (tag, multiple)


def test_a_header_is_read_with_its_properties_and_the_length_of_its_body() -> None:
    properties = Basic.Properties(message_id="m", headers={"x": [1, "ä"]})
    header = payload_of(pamqp.frame.marshal(ContentHeader(body_size=70_000, properties=properties), 1))

    assert frames.body_bytes(header) == 70_000
    assert dict(frames.read_properties(header)) == dict(properties)


def test_properties_that_are_none_are_kept_as_they_are_and_raise_nothing() -> None:
    header = payload_of(pamqp.frame.marshal(ContentHeader(body_size=0), 1))[:12] + b"\xff\xfe\x01"

    assert frames.read_properties(header).headers == {frames.UNREADABLE: bytearray(b"\xff\xfe\x01")}


def test_an_empty_body_has_no_frame() -> None:
    kinds = [FRAME.unpack_from(frames.published(1, "", "q", b"\0\0", b"", FRAME_MAX))[0]]
    encoded = frames.published(1, "", "q", b"\0\0", b"", FRAME_MAX)
    assert kinds == [1]
    assert len(decoded(encoded)) == 2
    assert (HEADER, BODY) == (2, 3)
