from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import quote

import aio_pika
import aiormq
import pytest
from pamqp.commands import Basic

from deploy.servers import Servers
from deploy.servers.answers import ask_management
from tests.places import new_vhost
from tests.walls.broker_actions import (
    Action,
    await_answers,
    bind,
    bind_own,
    bind_own_exchange,
    consume,
    declare_exchange,
    declare_queue,
    delete_exchange,
    delete_queue,
    get,
    publish,
    purge,
)
from tests.walls.broker_walls import Walls, new_walls

REFUSED = (aiormq.exceptions.ChannelAccessRefused,)


@pytest.fixture(scope="module")
def walls(servers: Servers) -> Iterator[Walls]:
    with new_vhost(servers) as vhost, new_walls(vhost) as walls:
        yield walls


YES, NO = True, False

TABLE: dict[str, list[tuple[str, Action, bool]]] = {
    "upstream.a": [
        ("publish its registrations", publish("payments", "registration.{a}"), YES),
        ("publish its invoices", publish("payments", "invoice.{a}"), YES),
        ("publish for a company whose name begins like its own", publish("payments", "registration.{aa}"), NO),
        ("publish for a company with a hyphen after its name", publish("payments", "registration.{ab}"), NO),
        ("publish invoices of another", publish("payments", "invoice.{aa}"), NO),
        ("publish under a longer key", publish("payments", "registration.{a}.x"), NO),
        ("publish under a key with more before it", publish("payments", "x.registration.{a}"), NO),
        ("publish under a key with a line feed", publish("payments", "registration.{a}\n"), NO),
        ("publish under a key of another topic", publish("payments", "outcome.{a}"), NO),
        ("publish under no key", publish("payments", ""), NO),
        ("publish an outcome", publish("payments.outcomes", "outcome.{a}.ohispay"), NO),
        ("publish a dead letter", publish("payments.dead-letter", "registration.{a}"), NO),
        ("publish a retry", publish("payments.retry.5s", "registration.{a}"), NO),
        ("publish past the retries", publish("payments.retry.return", "registration.{a}"), NO),
        ("publish to a queue itself", publish("", "payments.registrations"), NO),
        ("publish to another exchange", publish("amq.topic", "registration.{a}"), NO),
        ("wait for answers", await_answers, YES),
        ("read what is sent to the worker", consume("payments.registrations"), NO),
        ("read dead letters", get("payments.dead-letters"), NO),
        ("read outcomes", consume("outcomes.{a}.ledger"), NO),
        ("declare a queue", declare_queue("mine"), NO),
        ("declare a queue of any name", declare_queue(""), NO),
        ("declare an exchange", declare_exchange("mine"), NO),
        ("bind a queue of the worker", bind("payments.registrations", "payments", "registration.{a}"), NO),
        ("empty a queue", purge("payments.registrations"), NO),
        ("delete a queue", delete_queue("payments.registrations"), NO),
        ("delete an exchange", delete_exchange("payments"), NO),
    ],
    "downstream.a": [
        ("declare a queue of its own", declare_queue("outcomes.{a}.books"), YES),
        ("bind to its outcomes", bind_own("payments.outcomes", "outcome.{a}.*"), YES),
        ("bind to one status of them", bind_own("payments.outcomes", "outcome.{a}.ropo_refund"), YES),
        ("read a queue of its own", consume("outcomes.{a}.ledger"), YES),
        ("empty a queue of its own", purge("outcomes.{a}.ledger"), YES),
        ("bind to a company whose name begins alike", bind_own("payments.outcomes", "outcome.{aa}.*"), NO),
        ("bind to a company with a hyphen after its name", bind_own("payments.outcomes", "outcome.{ab}.*"), NO),
        ("bind to all companies", bind_own("payments.outcomes", "outcome.*.*"), NO),
        ("bind to everything", bind_own("payments.outcomes", "#"), NO),
        ("bind to all outcomes", bind_own("payments.outcomes", "outcome.#"), NO),
        ("bind to all that begins with anything", bind_own("payments.outcomes", "*.{a}.*"), NO),
        ("bind to the company alone", bind_own("payments.outcomes", "outcome.{a}"), NO),
        ("bind to what is sent to the worker", bind_own("payments", "registration.{a}"), NO),
        ("bind an exchange of its own to everything", bind_own_exchange("payments.outcomes", "#"), NO),
        ("bind an exchange of its own to payments", bind_own_exchange("payments", "#"), NO),
        ("declare a queue of a company whose name begins alike", declare_queue("outcomes.{aa}.books"), NO),
        ("declare a queue of another company", declare_queue("outcomes.{ab}.books"), NO),
        ("declare a queue without a name after the company", declare_queue("outcomes.{a}"), NO),
        ("declare a queue of any name", declare_queue(""), NO),
        ("declare an exchange", declare_exchange("mine"), NO),
        ("read another company's queue", consume("outcomes.{aa}.ledger"), NO),
        ("look into another company's queue", get("outcomes.{ab}.ledger"), NO),
        ("bind another company's queue", bind("outcomes.{aa}.ledger", "payments.outcomes", "outcome.{a}.*"), NO),
        ("empty another company's queue", purge("outcomes.{aa}.ledger"), NO),
        ("delete another company's queue", delete_queue("outcomes.{aa}.ledger"), NO),
        ("read dead letters", consume("payments.dead-letters"), NO),
        ("publish a registration", publish("payments", "registration.{a}"), NO),
        ("publish an outcome", publish("payments.outcomes", "outcome.{a}.ohispay"), NO),
        ("publish to a queue itself", publish("", "payments.registrations"), NO),
        (
            "have expired outcomes sent to the worker",
            declare_queue("outcomes.{a}.x", x_dead_letter_exchange="", x_dead_letter_routing_key="payments.invoices"),
            NO,
        ),
        ("have them sent to payments", declare_queue("outcomes.{a}.x", x_dead_letter_exchange="payments"), NO),
        (
            "have what its exchange cannot route sent to payments",
            declare_exchange("outcomes.{a}.x", alternate_exchange="payments"),
            NO,
        ),
    ],
    "worker": [
        ("take registrations", consume("payments.registrations"), YES),
        ("take invoices", consume("payments.invoices"), YES),
        ("take dead letters", consume("payments.dead-letters"), YES),
        ("publish outcomes", publish("payments.outcomes", "outcome.{a}.ohispay"), YES),
        ("publish dead letters", publish("payments.dead-letter", "registration.{a}"), YES),
        ("publish retries", publish("payments.retry.300s", "registration.{a}"), YES),
        ("answer", publish("", "outcomes.{a}.ledger"), YES),
        ("publish registrations", publish("payments", "registration.{a}"), NO),
        ("publish past the retries", publish("payments.retry.return", "registration.{a}"), NO),
        ("publish outcomes under any key", publish("payments.outcomes", "registration.{a}"), NO),
        ("read a downstream's queue", consume("outcomes.{a}.ledger"), NO),
        ("declare a queue", declare_queue("payments.mine"), NO),
        ("declare a queue of any name", declare_queue(""), NO),
        ("declare an exchange", declare_exchange("payments.mine"), NO),
        ("bind a queue", bind("payments.registrations", "payments", "#"), NO),
        ("delete a queue", delete_queue("payments.dead-letters"), NO),
    ],
    "setup": [
        ("publish registrations", publish("payments", "registration.{a}"), NO),
        ("publish past the retries", publish("payments.retry.return", "registration.{a}"), NO),
        ("publish outcomes", publish("payments.outcomes", "outcome.{a}.ohispay"), NO),
        ("publish dead letters", publish("payments.dead-letter", "registration.{a}"), NO),
        ("publish to a queue itself", publish("", "payments.registrations"), NO),
        ("declare a queue that is not the worker's", declare_queue("outcomes.{a}.books"), NO),
        ("read a downstream's queue", consume("outcomes.{a}.ledger"), NO),
    ],
    "ops": [
        ("replay registrations", publish("payments.retry.return", "registration.{a}"), YES),
        ("replay invoices", publish("payments.retry.return", "invoice.{a}"), YES),
        ("resend outcomes", publish("payments.outcomes", "outcome.{a}.ohispay"), YES),
        ("declare a queue for a while", declare_queue(""), YES),
        ("publish registrations", publish("payments", "registration.{a}"), NO),
        ("publish dead letters", publish("payments.dead-letter", "registration.{a}"), NO),
        ("publish to a queue itself", publish("", "payments.registrations"), NO),
        ("take registrations", consume("payments.registrations"), NO),
        ("take dead letters", get("payments.dead-letters"), NO),
        ("read a downstream's queue", consume("outcomes.{a}.ledger"), NO),
        ("declare a queue of a name", declare_queue("payments.mine"), NO),
        ("delete a queue", delete_queue("payments.dead-letters"), NO),
    ],
    "monitoring": [
        ("publish registrations", publish("payments", "registration.{a}"), NO),
        ("read dead letters", get("payments.dead-letters"), NO),
        ("declare a queue", declare_queue(""), NO),
    ],
}


@pytest.fixture(scope="module")
def ledgers(walls: Walls) -> Walls:
    """The walls with a queue of each downstream's behind them."""
    vhost = quote(walls.vhost.name, safe="")
    for company in vars(walls.companies).values():
        path = f"/api/queues/{vhost}/outcomes.{company}.ledger"
        ask_management(walls.vhost.management_url, "PUT", path, b'{"durable": true}')
    return walls


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        pytest.param(role, action, allowed, id=f"{role} {'can' if allowed else 'cannot'} {what}")
        for role, rows in TABLE.items()
        for what, action, allowed in rows
    ],
)
async def test_each_role_can_do_what_it_needs_and_nothing_else(
    ledgers: Walls, role: str, action: Action, *, allowed: bool
) -> None:
    async with await aio_pika.connect(ledgers.url_of(role)) as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        if allowed:
            await action(channel, ledgers.named)
            return
        with pytest.raises(REFUSED):
            await action(channel, ledgers.named)


async def test_nobody_publishes_in_anothers_name(walls: Walls) -> None:
    async with await aio_pika.connect(walls.url_of("upstream.a")) as connection:
        channel = await (await connection.channel()).get_underlay_channel()
        forged = Basic.Properties(user_id=walls.named("upstream.{aa}"))
        with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
            await channel.basic_publish(
                b"", exchange="payments", routing_key=walls.named("registration.{a}"), properties=forged
            )


def test_monitoring_sees_the_queues_and_changes_nothing(walls: Walls) -> None:
    vhost = quote(walls.vhost.name, safe="")
    url = walls.management_url_of("monitoring")
    assert b"payments.registrations" in ask_management(url, path=f"/api/queues/{vhost}")
    for method, path in (
        ("PUT", f"/api/queues/{vhost}/mine"),
        ("DELETE", f"/api/queues/{vhost}/payments.registrations"),
        ("GET", "/api/definitions"),
    ):
        with pytest.raises(HTTPError):
            ask_management(url, method, path, b"{}" if method == "PUT" else None)


@pytest.mark.parametrize("role", ["upstream.a", "downstream.a", "worker", "setup", "ops"])
def test_others_are_not_let_into_the_management(walls: Walls, role: str) -> None:
    with pytest.raises(HTTPError, match="401"):
        ask_management(walls.management_url_of(role))
