"""Publishing what the driver would not send: properties by their bytes, or none at all."""

import dataclasses
import json
from typing import cast

import aiormq
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.site import ROPO, Site

WHOLE = json.dumps(ROPO).encode()
"""A payment that lacks nothing but its key."""


class RawProperties:
    """Properties that the driver would not encode: their bytes just as given."""

    message_id = "raw"

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def marshal(self) -> bytes:
        return self._raw


async def publish_raw(site: Site, routing_key: bytes, properties: bytes = b"\0\0", body: bytes = WHOLE) -> None:
    """Publish with a routing key and properties that the driver would not encode."""
    channel = cast("aiormq.Channel", await site.channel.get_underlay_channel())
    header = ContentHeader(0, len(body), Basic.Properties())
    header.properties = RawProperties(properties)  # type: ignore[assignment]
    publish = Basic.Publish(exchange="payments", routing_key="k" * len(routing_key))
    frame = ChannelFrame.marshall(frames=[publish, header, ContentBody(body)], channel_number=channel.number)
    raw = frame.payload.replace(b"k" * len(routing_key), routing_key, 1)
    await channel.write_queue.put(dataclasses.replace(frame, payload=raw))
    channel.delivery_tag += 1
