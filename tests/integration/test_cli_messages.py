"""What the command line says of mistakes that are easily made: what happened, where, and what to do."""

from pathlib import Path

import aio_pika
import pytest

from tests.integration.command_line import NOWHERE, PROGRAM, CommandLine
from tests.site import Site


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


def printing_to(redirection: str) -> tuple[str, ...]:
    """Return the program with its standard output elsewhere."""
    return ("sh", "-c", f'exec "$0" "$@" {redirection}', *PROGRAM)


async def test_a_full_disk_behind_the_output_is_no_server_that_is_away(line: CommandLine) -> None:
    for command in (("companies", "list"), ("audit", "--json")):
        result = await line.end(await line.start(*command, program=printing_to(">/dev/full")))
        assert result.status == 1
        assert result.error.startswith("what the command prints cannot be written: No space left on device")


async def test_a_command_whose_output_nobody_wants_does_its_work(site: Site, line: CommandLine) -> None:
    for command in (("companies", "put", "quiet", "--currency", "EUR"), ("companies", "list")):
        result = await line.end(await line.start(*command, program=printing_to(">&-")))
        assert (result.status, result.stderr) == (0, "")
    assert await site.database.fetchval("SELECT count(*) FROM companies WHERE company = 'quiet'") == 1


async def test_an_address_that_cannot_be_served_on_is_told_with_its_setting(line: CommandLine) -> None:
    result = await line.run("run", environment={"PAYMENT_WORKER_HTTP_HOST": "nowhere.invalid"})
    assert result.status == 1
    assert result.error.startswith("cannot serve HTTP on nowhere.invalid:0: ")
    assert "PAYMENT_WORKER_HTTP_HOST" in result.error


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("amqp://someone:sesame@nowhere.invalid/", "RabbitMQ at nowhere.invalid:5672: "),
        ("amqps://someone:sesame@nowhere.invalid/", "RabbitMQ at nowhere.invalid:5671: "),
        ("amqp://", "its URL names no host"),
    ],
)
async def test_where_rabbitmq_was_looked_for_is_told(line: CommandLine, url: str, told: str) -> None:
    result = await line.run("outcomes", "follow", "--count", "1", environment={"PAYMENT_WORKER_AMQP_URL": url})
    assert result.status == 1
    assert told in result.error
    assert "sesame" not in result.stderr


async def test_the_server_is_named_once(line: CommandLine, site: Site, tmp_path: Path) -> None:
    await site.channel.exchange_delete("payments")
    file = tmp_path / "payments.jsonl"
    file.write_text("{}\n")
    said = await line.fail("publish", file, "--company", "acme")
    assert said.startswith("RabbitMQ: publishing to payments: ")


async def test_a_period_that_has_not_begun_is_wrong_use(line: CommandLine) -> None:
    result = await line.run("outcomes", "resend", "--company", "acme", "--since", "9999-01-01")
    assert (result.status, "--since lies in the future" in result.error) == (2, True)


async def test_a_number_is_asked_for_in_plain_words() -> None:
    line = CommandLine(f"amqp://{NOWHERE}/", f"postgresql://{NOWHERE}/x")
    for command in (("dead-letters", "show", "abc"), ("invoices", "show", "--company", "acme", "--jobid", "abc")):
        result = await line.run(*command)
        assert (result.status, "'abc' is not a valid whole number" in result.error) == (2, True)


async def test_json_lines_are_read_whatever_the_file_is_called(line: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "invoices.csv"
    file.write_text('{"billcode": "B", "capital": "1.00"}\n')
    result = await line.succeed("invoices", "import", file, "--company", "acme", "--json")
    assert result.json["created"] == 1


async def test_a_letter_that_never_was_a_registration_is_not_said_to_lack_a_setup(
    site: Site, line: CommandLine
) -> None:
    dead_letter = await site.channel.get_exchange("payments.dead-letter")
    async with site.worker():
        await dead_letter.publish(aio_pika.Message(b"{}"), "anything")
        await site.dead_letters(1)
    result = await line.run("dead-letters", "replay", "1")
    assert result.status == 1
    assert "neither registration.<company> nor invoice.<company>" in result.stderr
    assert "Discard it" in result.stderr
