"""What the command line says when something is wrong: one line, no traceback, no secret."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import click
import pytest

from deploy.servers.answers import ask_management
from tests.integration.command_line import NOWHERE, CommandLine
from tests.places import Database, Vhost
from tests.site import Site
from worker.cli import main


@pytest.fixture
def command_line(database: Database, vhost: Vhost) -> CommandLine:
    return CommandLine(vhost.amqp_url, database.url)


@pytest.fixture
def site_line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{password}@{parts.hostname}:{parts.port}"))


async def test_a_database_that_is_away_is_one_line_with_advice(command_line: CommandLine) -> None:
    away = {"PAYMENT_WORKER_DATABASE_URL": f"postgresql://someone:sesame@{NOWHERE}/books"}
    result = await command_line.run("companies", "list", environment=away)
    assert result.status == 1
    assert "Postgres cannot be reached" in result.error
    assert "PAYMENT_WORKER_DATABASE_URL" in result.error
    assert len(result.stderr.splitlines()) == 1
    assert "sesame" not in result.stderr


async def test_a_broker_that_is_away_is_one_line_with_advice(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "payments.jsonl"
    file.write_text("{}\n")
    away = {"PAYMENT_WORKER_AMQP_URL": f"amqp://someone:sesame@{NOWHERE}/"}
    result = await command_line.run("publish", file, "--company", "acme", environment=away)
    assert result.status == 1
    assert f"RabbitMQ at {NOWHERE}" in result.error
    assert len(result.stderr.splitlines()) == 1
    assert "sesame" not in result.stderr


@pytest.mark.parametrize(
    "url",
    ["mysql://u:sesame@host/x", "postgresql://u:ses/ame@host/x", "postgresql://u:12?same@host/x", "postgresql:sesame"],
)
async def test_a_url_that_is_none_is_never_quoted(command_line: CommandLine, url: str) -> None:
    for command in (("companies", "list"), ("doctor",), ("setup",), ("run",)):
        result = await command_line.run(*command, environment={"PAYMENT_WORKER_DATABASE_URL": url})
        assert result.status == 1
        assert "PAYMENT_WORKER_DATABASE_URL" in result.stdout + result.stderr
        assert not any(part in result.stdout + result.stderr for part in ("sesame", "same", "ame@", "u:12"))


async def test_of_several_nodes_none_is_quoted_with_its_password(command_line: CommandLine) -> None:
    nodes = f"amqp://someone:sesame@{NOWHERE}/,amqp://someone:sesame@{NOWHERE}/"
    result = await command_line.run("doctor", environment={"PAYMENT_WORKER_AMQP_URL": nodes})
    assert f"amqp://someone:***@{NOWHERE}/, amqp://someone:***@{NOWHERE}/" in result.stdout
    assert "sesame" not in result.stdout + result.stderr

    broken = f"amqp://someone:sesame@{NOWHERE}/,amqp://someone:ses/ame@{NOWHERE}/"
    result = await command_line.run("doctor", environment={"PAYMENT_WORKER_AMQP_URL": broken})
    assert "PAYMENT_WORKER_AMQP_URL: must be a URL" in result.stdout
    assert "ame@" not in result.stdout + result.stderr


async def test_a_setting_that_is_missing_is_named(command_line: CommandLine) -> None:
    result = await command_line.run("setup", environment={"PAYMENT_WORKER_AMQP_URL": None})
    assert result.status == 1
    assert result.error == "settings: PAYMENT_WORKER_AMQP_URL: is not set"


async def test_a_command_asks_for_no_server_that_it_does_not_need(site_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "payments.jsonl"
    file.write_text("{}\n")
    for variable, command in (("AMQP", ("companies", "list")), ("DATABASE", ("publish", file, "--company", "acme"))):
        done = await site_line.run(*command, environment={f"PAYMENT_WORKER_{variable}_URL": None})
        assert (done.status, done.stderr) == (0, "")


async def test_without_its_tables_the_advice_is_setup(site: Site, site_line: CommandLine) -> None:
    await site.database.execute("ALTER TABLE companies RENAME TO others")
    assert "payment-worker setup" in await site_line.fail("companies", "list")


async def test_a_missing_exchange_is_told_with_the_advice_to_set_up(command_line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "payments.jsonl"
    file.write_text("{}\n")
    assert "payment-worker setup" in await command_line.fail("publish", file, "--company", "acme")
    assert "payment-worker setup" in await command_line.fail("outcomes", "follow", "--count", "1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("companies", "put", "Acme", "--currency", "EUR"),
        ("companies", "put", "acme"),
        ("companies", "put", "acme", "--currency", "EURO"),
        ("companies", "put", "acme", "--currency", "XAU"),
        ("companies", "put", "acme", "--currency", "EUR", "--allocation", "capital"),
        ("companies", "put", "acme", "--currency", "EUR", "--allocation-for", "directpayment"),
        ("companies", "put", "acme", "--currency", "EUR", "--allocation-for", "x=capital"),
        ("companies", "put", "acme", "--currency", "EUR", "--treat", "=ropo"),
        ("companies", "put", "acme", "--currency", "EUR", "--treat", "x=ropo", "--treat", "x=ignore"),
        ("companies", "put", "acme", "--currency", "EUR", "--books-closed-until", "2024-02-30"),
        ("companies", "put", "acme", "--currency", "EUR", "--books-closed-until", "20240201"),
        ("companies", "put", "acme", "--currency", "EUR", "--await-invoice", "-1"),
        ("invoices", "show", "--company", "acme"),
        ("invoices", "show", "--company", "acme", "--jobid", "1", "--billnum", "2"),
        ("invoices", "show", "--company", "acme", "--jobid", "99999999999999999999"),
        ("publish", "x", "--company", "acme", "--type", "nix"),
        ("outcomes", "follow", "--queue", "payments.registrations"),
        ("outcomes", "resend", "--company", "acme", "--since", "yesterday"),
        ("outcomes", "resend", "--company", "acme", "--since", "2024-01-02", "--until", "2024-01-01"),
        ("dead-letters", "replay"),
        ("dead-letters", "replay", "1", "--all"),
        ("dead-letters", "show", "0"),
        ("dead-letters", "list", "--reason", "bad"),
        ("nix",),
        ("--nix",),
    ],
)
async def test_wrong_use_is_one_line_and_exit_status_2(arguments: tuple[str, ...]) -> None:
    result = await CommandLine(f"amqp://{NOWHERE}/", f"postgresql://{NOWHERE}/x").run(*arguments)
    assert result.status == 2
    assert result.error
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


async def test_text_that_is_no_utf_8_is_wrong_use() -> None:
    line = CommandLine(f"amqp://{NOWHERE}/", f"postgresql://{NOWHERE}/x")
    result = await line.run("payments", "show", "a\udcffb", "--company", "acme")
    assert result.status == 2
    assert "UTF-8" in result.error


@pytest.mark.parametrize(
    "arguments",
    [
        ("invoices", "show", "--jobid", "1"),
        ("payments", "show", "k1"),
        ("outcomes", "resend", "--since", "2024-01-01"),
    ],
)
async def test_a_company_that_does_not_exist_is_named(site_line: CommandLine, arguments: tuple[str, ...]) -> None:
    assert "no company nobody" in await site_line.fail(*arguments, "--company", "nobody")


async def test_what_is_not_in_the_books_is_exit_status_1(site_line: CommandLine, tmp_path: Path) -> None:
    assert "no invoice with billcode nix" in await site_line.fail(
        "invoices", "show", "--company", "acme", "--billcode", "nix"
    )
    assert "no payment" in await site_line.fail("payments", "show", "nix", "--company", "acme")
    assert "no dead letter 7" in await site_line.fail("dead-letters", "show", "7")
    missing = tmp_path / "nix.csv"
    for command in (("invoices", "import"), ("publish",)):
        assert f"{missing}: No such file" in await site_line.fail(*command, missing, "--company", "acme")


async def test_ctrl_c_is_one_line(site_line: CommandLine) -> None:
    following = await site_line.start("outcomes", "follow", "--count", "1")
    assert following.stderr is not None
    assert b"following" in await following.stderr.readline()
    following.send_signal(signal.SIGINT)
    result = await site_line.end(following)
    assert result.status == 1
    assert "interrupted" in result.error


async def test_ctrl_c_is_how_following_without_a_count_ends(site_line: CommandLine) -> None:
    following = await site_line.start("outcomes", "follow")
    assert following.stderr is not None
    assert b"following" in await following.stderr.readline()
    following.send_signal(signal.SIGINT)
    assert (await site_line.end(following)).status == 0


async def test_set_up_can_be_repeated_by_several_at_once(vhost: Vhost, database: Database) -> None:
    line = CommandLine(vhost.amqp_url, database.url)
    results = await asyncio.gather(*(line.run("setup") for _ in range(3)))
    assert [result.status for result in results] == [0, 0, 0]
    assert "up to date" in (await line.succeed("setup")).stdout


async def test_doctor_is_content_with_a_site_that_is_set_up(site_line: CommandLine, site: Site) -> None:
    result = await site_line.succeed("doctor", "--json")
    assert [(check["check"], check["ok"]) for check in result.json] == [
        (name, True) for name in ("settings", "postgres", "schema", "rights", "rabbitmq", "topology", "permissions")
    ]
    password = urlsplit(site.amqp_url).password
    assert password
    assert password not in result.stdout


async def test_doctor_names_what_is_missing(command_line: CommandLine) -> None:
    result = await command_line.run("doctor", "--json")
    assert result.status == 1
    topology = result.json[-1]
    assert (topology["check"], topology["ok"]) == ("topology", False)
    assert "exchange payments," in topology["detail"]
    assert "queue payments.dead-letters," in topology["detail"]
    assert "payment-worker setup" in topology["detail"]


async def test_doctor_sees_arguments_that_are_not_right(command_line: CommandLine, site: Site) -> None:
    queue = await site.channel.declare_queue("payments.invoices", passive=True)
    await queue.delete(if_unused=False, if_empty=False)
    await site.channel.declare_queue("payments.invoices", durable=True)
    result = await command_line.run("doctor")
    assert result.status == 1
    assert "FAILED" in result.stdout
    assert "payments.invoices" in result.stdout


async def test_doctor_tells_a_wrong_password_from_a_server_that_is_away(command_line: CommandLine) -> None:
    wrong = {
        "PAYMENT_WORKER_DATABASE_URL": with_password(command_line.environment["PAYMENT_WORKER_DATABASE_URL"], "sesame"),
        "PAYMENT_WORKER_AMQP_URL": with_password(command_line.environment["PAYMENT_WORKER_AMQP_URL"], "sesame"),
    }
    result = await command_line.run("doctor", environment=wrong)
    assert result.status == 1
    assert "password authentication failed" in result.stdout
    assert "Login was refused" in result.stdout
    assert "sesame" not in result.stdout + result.stderr


async def test_doctor_sends_nobody_to_the_doctor(command_line: CommandLine) -> None:
    away = {
        "PAYMENT_WORKER_DATABASE_URL": f"postgresql://{NOWHERE}/books",
        "PAYMENT_WORKER_AMQP_URL": f"amqp://{NOWHERE}/",
    }
    result = await command_line.run("doctor", environment=away)
    assert (result.status, result.stdout.count("FAILED")) == (1, 2)
    assert "`payment-worker doctor`" not in result.stdout


async def test_doctor_tells_of_a_vhost_that_does_not_exist(command_line: CommandLine) -> None:
    nowhere = command_line.environment["PAYMENT_WORKER_AMQP_URL"] + "-nix"
    result = await command_line.run("doctor", environment={"PAYMENT_WORKER_AMQP_URL": nowhere})
    assert result.status == 1
    assert "the vhost" in result.stdout


@pytest.fixture
def read() -> str:
    return ".*"


@pytest.fixture
def write() -> str:
    return ".*"


@pytest.fixture
def worker_url(vhost: Vhost, read: str, write: str) -> Iterator[str]:
    """The vhost as a user sees it who may read and write there, and declare nothing."""
    name = f"{vhost.name}-user"
    ask_management(vhost.management_url, "PUT", f"/api/users/{name}", b'{"password": "sesame", "tags": ""}')
    try:
        rights = json.dumps({"configure": "^$", "write": write, "read": read}).encode()
        ask_management(vhost.management_url, "PUT", f"/api/permissions/{vhost.name}/{name}", rights)
        parts = urlsplit(vhost.amqp_url)
        yield urlunsplit(parts._replace(netloc=f"{name}:sesame@{parts.hostname}:{parts.port}"))
    finally:
        ask_management(vhost.management_url, "DELETE", f"/api/users/{name}")


async def test_a_user_who_may_declare_nothing_is_told_so(site_line: CommandLine, worker_url: str) -> None:
    as_user = {"PAYMENT_WORKER_AMQP_URL": worker_url}
    refused = await site_line.run("setup", environment=as_user)
    assert refused.status == 1
    assert "ACCESS_REFUSED" in refused.error
    assert "permissions" in refused.error
    looked = await site_line.run("doctor", "--json", environment=as_user)
    assert looked.status == 0
    topology, permissions = looked.json[-2:]
    assert "not this user's to check" in topology["detail"]
    assert (permissions["check"], permissions["is_warning"]) == ("permissions", False)


@pytest.mark.parametrize("read", ["payments.(registrations|invoices)"])
async def test_doctor_names_the_queues_that_a_user_may_not_read(
    site: Site, site_line: CommandLine, worker_url: str
) -> None:
    await site.pay(key="waits")
    looked = await site_line.run("doctor", "--json", environment={"PAYMENT_WORKER_AMQP_URL": worker_url})
    assert looked.status == 0, "it may be the user of another command"
    permissions = looked.json[-1]
    assert (permissions["check"], permissions["is_warning"]) == ("permissions", True)
    assert permissions["detail"].startswith("this user may not read payments.dead-letters: ")
    queue = await site.channel.declare_queue("payments.registrations", passive=True)
    message = await queue.get()
    assert message is not None
    assert not message.redelivered, "to look whether it may be had does not take it"


@pytest.mark.parametrize("write", [r"payments\.(dead-letter|retry\.[0-9]+s)"])
async def test_doctor_names_the_exchanges_that_a_user_may_not_publish_to(
    site: Site, site_line: CommandLine, worker_url: str
) -> None:
    looked = await site_line.run("doctor", "--json", environment={"PAYMENT_WORKER_AMQP_URL": worker_url})
    assert looked.status == 0, "it may be the user of another command"
    permissions = looked.json[-1]
    assert (permissions["check"], permissions["is_warning"]) == ("permissions", True)
    lacks = "publish to payments.outcomes, publish to amq.default (replies)"
    assert permissions["detail"].startswith(f"this user may not {lacks}: ")
    assert await site.queue_is_empty("payments.dead-letters"), "to look whether it may be published to does not"


def test_help_imports_neither_driver_nor_model() -> None:
    code = (
        "import sys; from worker.cli import main; main(['--help'], standalone_mode=False); "
        "print([m for m in ('asyncpg', 'aio_pika', 'pydantic', 'rich', 'prometheus_client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", main.list_commands(click.Context(main)))
def test_each_command_can_be_loaded(command: str) -> None:
    assert main.get_command(click.Context(main), command)
