"""From RabbitMQ 4.3 on even a passive declaration takes the right to configure, which a worker has not."""

from typing import NoReturn, cast

import aiormq
import pytest
from aio_pika.abc import AbstractConnection

from tests.site import Site
from worker.cli.doctor import _topology


async def test_a_worker_declares_nothing_not_even_passively(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a worker has declared something")

    for name in ("queue_declare", "exchange_declare", "queue_bind", "exchange_bind"):
        monkeypatch.setattr(aiormq.Channel, name, refuse)
    async with site.worker():
        await site.put()
        await site.pay(key="k")
        await site.pay(b"{", key="wrong")
        assert (await site.event_of("k")).body["status"] == "OHISPAY"
        await site.dead_letters(1)


class StrictBroker:
    """Stands in for a RabbitMQ 4.3, of which there is none here: each look of a user without the right is refused."""

    is_closed = True

    async def channel(self) -> "StrictBroker":
        return self

    async def declare_exchange(self, name: str, *, passive: bool) -> NoReturn:
        assert passive
        raise aiormq.exceptions.ChannelAccessRefused(403, f"ACCESS_REFUSED - configure access to exchange '{name}'")


async def test_doctor_says_who_may_look_where_its_user_may_not() -> None:
    check = await _topology(cast("AbstractConnection", StrictBroker()))
    assert check.ok
    assert "as the user of `setup`" in check.detail
