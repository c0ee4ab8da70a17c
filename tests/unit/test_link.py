import asyncio
import itertools
from collections.abc import Iterable
from typing import SupportsIndex

import pamqp.frame
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic, Connection
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from worker.broker.link import HEARTBEAT, Tap

FOR_SINK = [
    pamqp.frame.marshal(Basic.Deliver("c", 1, exchange="payments", routing_key="registration.acme"), 7),
    pamqp.frame.marshal(ContentHeader(body_size=5), 7),
    pamqp.frame.marshal(ContentBody(b"hello"), 7),
    pamqp.frame.marshal(Basic.Ack(1), 7),
]
FOR_DRIVER = [
    pamqp.frame.marshal(Basic.ConsumeOk("c"), 7),
    pamqp.frame.marshal(Basic.Deliver("c", 1, routing_key="q"), 8),
    pamqp.frame.marshal(Connection.Blocked("memory"), 0),
    pamqp.frame.marshal(Heartbeat(), 0),
]


class Reader(asyncio.StreamReader):
    """What the driver reads from."""

    def __init__(self) -> None:
        self.got = b""

    def feed_data(self, data: "Iterable[SupportsIndex]") -> None:
        self.got += bytes(data)


def tapped(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    """Return the payloads that channel 7 took, and the bytes that the driver got."""
    loop = asyncio.new_event_loop()
    try:
        reader = Reader()
        tap = Tap(reader, loop)
        taken: list[bytes] = []

        def sink(_kind: int, payload: bytes) -> bool:
            is_ours = payload != FOR_DRIVER[0][7:-1]
            if is_ours:
                taken.append(payload)
            return is_ours

        tap.sinks[7] = sink
        for chunk in chunks:
            tap.data_received(chunk)
        return taken, reader.got
    finally:
        loop.close()


@given(st.permutations(FOR_SINK + FOR_DRIVER), st.lists(st.integers(0, 250), max_size=12))
def test_frames_go_to_whom_they_are_for_whole_and_in_order_however_they_arrive(
    frames: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(frames)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    chunks = [stream[start:end] for start, end in itertools.pairwise(places)]

    taken, driver_got = tapped(chunks)

    assert taken == [frame[7:-1] for frame in frames if frame in FOR_SINK]
    sign_of_life = pamqp.frame.marshal(Heartbeat(), 0)
    expected = b"".join(frame for frame in frames if frame in FOR_DRIVER)
    assert driver_got.replace(sign_of_life, b"") == expected.replace(sign_of_life, b"")


def test_the_driver_is_shown_a_sign_of_life_where_all_frames_pass_it_by() -> None:
    taken, driver_got = tapped([FOR_SINK[0]])

    assert len(taken) == 1
    assert driver_got[0] == HEARTBEAT
    assert driver_got == pamqp.frame.marshal(Heartbeat(), 0)


def test_what_is_no_frame_is_left_to_the_driver() -> None:
    other_protocol = b"AMQP\x00\x01\x00\x00"
    assert tapped([other_protocol]) == ([], other_protocol)
