"""`payment-worker publish`: each line as it is, confirmed, and never booked twice."""

import json
from pathlib import Path

import pytest
from aio_pika.abc import AbstractIncomingMessage

from schemas import catalog
from tests.integration.command_line import CommandLine
from tests.site import Site

PAYMENT = b'{"amount": 1.10,  "billcode": "\xc3\xa4", "paydate": "2024-01-01"}'


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def published(
    site: Site, count: int, queue_name: str = catalog.REGISTRATIONS_QUEUE
) -> list[AbstractIncomingMessage]:
    """Return what stands in the queue, which is that many messages."""
    queue = await site.channel.declare_queue(queue_name, passive=True)
    messages = [await queue.get(no_ack=True) for _ in range(count)]
    assert await queue.get(fail=False) is None
    return messages


async def test_each_line_is_a_message_just_as_it_is(site: Site, line: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "payments.jsonl"
    path.write_bytes(PAYMENT + b"\r\n\n   \n{broken\n\xff\x00\n" + PAYMENT)
    result = await line.succeed("publish", path, "--company", "acme", "--json")
    assert result.json == {"published": 4}
    messages = await published(site, 4)
    assert [message.body for message in messages] == [PAYMENT, b"{broken", b"\xff\x00", PAYMENT]
    first = messages[0]
    assert (first.routing_key, first.type, first.content_type) == (
        "registration.acme",
        "ropo.payment.v1",
        "application/json",
    )
    assert first.delivery_mode == 2
    assert catalog.KEY_HEADER not in first.headers


async def test_the_same_file_again_has_the_same_keys_and_two_equal_lines_have_two(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "payments.jsonl"
    path.write_bytes(PAYMENT + b"\n" + PAYMENT + b"\n{}\n")
    for company in ("acme", "acme", "other"):
        await line.succeed("publish", path, "--company", company)
    keys = [message.message_id for message in await published(site, 9)]
    assert keys[:3] == keys[3:6]
    assert len(set(keys)) == 6


async def test_more_lines_than_a_window_from_stdin_all_arrive(site: Site, line: CommandLine) -> None:
    bodies = [b'{"number": %d}' % number for number in range(1_001)]
    await line.succeed("publish", "-", "--company", "acme", stdin=b"\n".join(bodies))
    assert [message.body for message in await published(site, 1_001)] == bodies


async def test_an_invoice_goes_its_own_way(site: Site, line: CommandLine) -> None:
    arguments = ("publish", "-", "--company", "acme", "--type", "invoice.put.v1")
    await line.succeed(*arguments, stdin=b'{"jobid": 1}')
    (message,) = await published(site, 1, catalog.INVOICES_QUEUE)
    assert (message.routing_key, message.type) == ("invoice.acme", "invoice.put.v1")


async def test_the_key_can_come_from_a_field(site: Site, line: CommandLine) -> None:
    await line.succeed("publish", "-", "--company", "acme", "--key-field", "no", stdin=b'{"no": "A"}\n{"no": 7}')
    assert [message.headers[catalog.KEY_HEADER] for message in await published(site, 2)] == ["A", "7"]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"no": ""}', b'{"no": true}', b'{"no": 1.5}', b"[]", b"{", b'{"no": "\\ud800"}']
)
async def test_a_field_that_holds_no_key_stops_the_whole_file(site: Site, line: CommandLine, body: bytes) -> None:
    result = await line.run("publish", "-", "--company", "acme", "--key-field", "no", stdin=b'{"no": "A"}\n' + body)
    assert result.status == 1
    assert "line 2: " in result.stderr
    await published(site, 0)


async def test_with_check_nothing_is_published_unless_every_line_is_valid(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "payments.jsonl"
    too_large = PAYMENT[:-1] + b', "description": "' + b"x" * 70_000 + b'"}'
    path.write_bytes(b"\n".join([PAYMENT, b"{", PAYMENT, b'{"amount": "NaN"}', too_large]))
    result = await line.run("publish", path, "--company", "acme", "--check")
    assert result.status == 1
    assert [text[:7] for text in result.stderr.splitlines()[:3]] == ["line 2:", "line 4:", "line 5:"]
    assert "3 wrong lines; nothing was published" in result.error
    await published(site, 0)
    await line.succeed("publish", "-", "--company", "acme", "--check", stdin=PAYMENT)
    await published(site, 1)


async def test_a_document_laid_out_over_lines_is_its_messages(site: Site, line: CommandLine, tmp_path: Path) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    one.write_text(json.dumps({"amount": 1}, indent=2))
    many.write_text('[\n  {"amount": 1.10},\n  {"amount": 12345678901234567890.123}\n]\n')
    await line.succeed("publish", one, "--company", "acme")
    await line.succeed("publish", many, "--company", "acme")
    assert [message.body for message in await published(site, 3)] == [
        one.read_bytes(),
        b'{"amount":1.10}',
        b'{"amount":12345678901234567890.123}',
    ]


async def test_a_line_longer_than_any_message_is_not_cut_in_two(line: CommandLine) -> None:
    told = await line.fail("publish", "-", "--company", "acme", stdin=b"x" * (16 * 1024 * 1024 + 1))
    assert "line 1 is longer than" in told


async def test_a_message_that_no_queue_takes_is_an_error(site: Site, line: CommandLine) -> None:
    queue = await site.channel.declare_queue(catalog.REGISTRATIONS_QUEUE, passive=True)
    await queue.unbind(catalog.PAYMENTS, "registration.*")
    result = await line.run("publish", "-", "--company", "acme", stdin=b"\n{}")
    assert result.status == 1
    assert "no queue took the message of line 2" in result.error
    assert "payment-worker setup" in result.error
