"""TLS with RabbitMQ as production has it: each side shows a certificate, and neither takes one for another's."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import aiormq
import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.servers import Servers
from tests.integration.command_line import DEADLINE_S, CommandLine
from tests.places import Database, Vhost
from tests.site import ROPO
from tests.walls.authorities import new_authorities
from tests.walls.tls_broker import COMPANY, TlsBroker, run_tls_broker, way_of
from worker.broker.connection import connect
from worker.cli.failure import explain
from worker.domain.errors import LinkLostError

Run = Callable[[Coroutine[Any, Any, str]], str]
WRONG_NAME = "127.0.0.1"
UNTRUSTED = "RabbitMQ's certificate is not to be trusted: "
UNWANTED = "this client's certificate"


@pytest.fixture(scope="module")
def broker(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsBroker]:
    folder = tmp_path_factory.mktemp("tls")
    with run_tls_broker(way_of(servers.way), new_authorities(folder / "authorities"), folder / "broker") as running:
        yield running


def refusals(broker: TlsBroker) -> dict[str, tuple[str, str]]:
    """Return for each way to be refused the URL that goes it, and how it is told."""
    authorities = broker.authorities
    return {
        "a wrong name": (broker.url(host=WRONG_NAME), f"{UNTRUSTED}IP address mismatch"),
        "an unknown authority": (broker.url(ca=authorities.unknown_ca), UNTRUSTED),
        "an authority that is not the system's": (broker.url(cafile=""), UNTRUSTED),
        "no client certificate": (broker.url(certfile="", keyfile=""), UNWANTED),
        "a client certificate of an unknown authority": (
            broker.url(client=authorities.unknown_client_of("client")),
            UNWANTED,
        ),
        "no TLS": (broker.url(scheme="amqp", cafile="", certfile="", keyfile=""), "the URL begins with amqps://"),
    }


WAYS = (
    "a wrong name",
    "an unknown authority",
    "an authority that is not the system's",
    "no client certificate",
    "a client certificate of an unknown authority",
    "no TLS",
)


async def refused(url: str) -> str:
    with pytest.raises(LinkLostError) as error:
        await connect(url, "test")
    return explain(error.value)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["a command", "a worker"])
@pytest.mark.parametrize("way", WAYS)
def test_each_side_refuses_what_it_cannot_trust_and_the_error_says_what(broker: TlsBroker, way: str, run: Run) -> None:
    url, text = refusals(broker)[way]
    said = run(refused(url))
    assert text in said
    assert "PAYMENT_WORKER_AMQP_URL" in said
    assert "\n" not in said


async def test_the_main_job_goes_through_tls_with_certificates_on_both_sides(
    broker: TlsBroker, database: Database, tmp_path: Path
) -> None:
    def line(user: str) -> CommandLine:
        return CommandLine(broker.url(user), database.url)

    await line("setup").succeed("setup")
    await line("worker").succeed("companies", "put", COMPANY, "--currency", "EUR")
    payments = tmp_path / "payments.json"
    payments.write_text(json.dumps(ROPO))
    worker = await line("worker").start("run")
    follower = await line(f"downstream.{COMPANY}").start(
        "outcomes", "follow", "--company", COMPANY, "--count", "1", "--json"
    )
    assert follower.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        assert b"following" in await follower.stderr.readline()
    await line(f"upstream.{COMPANY}").succeed("publish", payments, "--company", COMPANY)
    outcome = await line("downstream").end(follower)
    assert json.loads(outcome.stdout)["status"] == "NOT_FOUND"
    worker.send_signal(signal.SIGTERM)
    assert (await line("worker").end(worker)).status == 0


async def test_doctor_publish_and_a_worker_say_plainly_that_it_is_not_their_broker(
    broker: TlsBroker, database: Database
) -> None:
    line = CommandLine(broker.url(host=WRONG_NAME), database.url)
    checks = (await line.run("doctor", "--json")).json
    assert UNTRUSTED in checks[-1]["detail"]
    assert UNTRUSTED in await line.fail("publish", "-", "--company", COMPANY, stdin=json.dumps(ROPO).encode())
    worker = await line.start("run")
    assert worker.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        while (said := json.loads(await worker.stderr.readline()))["event"] != "broker away":
            pass
    assert UNTRUSTED in said["error"]
    worker.send_signal(signal.SIGTERM)
    assert (await line.end(worker)).status == 0


async def test_the_configuration_knows_no_guest_and_takes_nothing_far_too_large(broker: TlsBroker) -> None:
    with pytest.raises(LinkLostError, match="Login was refused"):
        await connect(broker.url("guest").replace(":of%20this%20test%20alone@", ":guest@"), "test")
    async with await connect(broker.url("setup"), "test") as connection:
        channel = await connection.channel()
        await channel.declare_exchange("payments", "topic", durable=True)
    for size, fits in ((1_048_576, True), (1_048_577, False)):
        async with await aio_pika.connect(broker.url(f"upstream.{COMPANY}")) as connection:
            channel = await connection.channel()
            payments = await channel.get_exchange("payments", ensure=False)
            publishing = payments.publish(aio_pika.Message(b" " * size), f"registration.{COMPANY}", mandatory=False)
            if fits:
                await publishing
            else:
                with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed, match="larger than"):
                    await publishing


async def test_a_port_without_tls_is_said_to_be_one(vhost: Vhost) -> None:
    said = await refused(vhost.amqp_url.replace("amqp://", "amqps://"))
    assert "TLS: " in said


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cafile=/nowhere/ca.pem", "cafile /nowhere/ca.pem: No such file or directory"),
        ("cafile={text}", "cafile {text}: no certificate or crl found"),
        ("certfile={text}", "certfile {text}: "),
        ("certfile={certificate}&keyfile={other_key}", "key values mismatch"),
        ("certfile={certificate}&keyfile=/nowhere", "with keyfile /nowhere: No such file"),
        ("certfile={certificate}&keyfile={encrypted}", "without a passphrase"),
        ("keyfile={key}", "keyfile is of no use without certfile"),
        ("no_verify_ssl=1", "would let anyone pass for RabbitMQ"),
    ],
)
async def test_files_that_will_not_do_are_named_before_anything_is_sent(tmp_path: Path, query: str, text: str) -> None:
    authorities = new_authorities(tmp_path / "authorities")
    client, other = authorities.client_of("client"), authorities.client_of("other")
    files = {"text": tmp_path / "text", "certificate": client.certificate, "key": client.key, "other_key": other.key}
    files["text"].write_text("no certificate")
    key = load_pem_private_key(client.key.read_bytes(), None)
    files["encrypted"] = tmp_path / "encrypted.pem"
    encryption = BestAvailableEncryption(b"passphrase")
    files["encrypted"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    said = await refused(f"amqps://user:secret@localhost:1/?{query.format_map(files)}")
    assert text.format_map(files) in said
    assert said.endswith("and the host in it")
    assert "secret" not in said


async def test_certificates_for_a_url_without_tls_are_no_silent_mistake(tmp_path: Path) -> None:
    ca = new_authorities(tmp_path / "authorities").ca
    assert "the URL says amqp://" in await refused(f"amqp://user:secret@localhost:1/?cafile={ca}")
