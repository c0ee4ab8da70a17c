"""`payment-worker outcomes`: what a downstream does, and what is done for one that was not there."""

import asyncio
import math
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import aiormq
import click
from aio_pika.abc import AbstractConnection

from schemas import catalog
from schemas.codec import encode, read_json
from schemas.invalid import MalformedJsonError
from worker.books.outcomes import Position, read_outcomes
from worker.broker.channel import open_channel
from worker.broker.connection import link_errors
from worker.broker.delivery import Delivery
from worker.broker.intake import Intake
from worker.broker.topology import quorum
from worker.cli.broker import broker, publisher
from worker.cli.parameters import COMPANY, INSTANT, TEXT, WholeNumber, company_option
from worker.cli.progress import progress
from worker.cli.servers import books, policy_of
from worker.cli.terminal import json_option, note, print_json_line, print_record, shown
from worker.limits import FOLLOW_PREFETCH_MESSAGES, QUEUE_NAME_BYTES_MAX, RELAY_WINDOW_MESSAGES
from worker.publications import downstream_queue, outcome_publication

_FOCUSED = "capital+interest+noticefee"
_COLUMNS = {
    "occurred_at": 27,
    "company": 12,
    "status": 11,
    "reason": 26,
    "amount": 12,
    _FOCUSED: 26,
    "unfocused": 12,
    "currency": 8,
    "replayed": 8,
    "idempotency_key": 0,
}
"""What a row shows, and how wide."""


@click.group()
def outcomes() -> None:
    """Follow outcomes, as a downstream does, or resend a period."""


@outcomes.command()
@click.option("--company", type=COMPANY, help="Only this company's.")
@click.option("--count", type=WholeNumber(min=1), help="End after so many. Fewer by the timeout is a failure.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="End after so many seconds.")
@click.option("--queue", type=TEXT, help="Take from this durable queue, made where it is missing; what it holds waits.")
@json_option
def follow(
    *, company: str | None, count: int | None, timeout_s: float | None, queue: str | None, as_json: bool
) -> None:
    """Print outcomes as they come, until Ctrl-C. With --json a line each: the event, and whether it was replayed."""
    if queue is not None:
        _check_queue(queue)
    try:
        came = asyncio.run(_follow(company, queue, count, timeout_s, as_json=as_json))
    except KeyboardInterrupt:
        if count is not None:
            raise
        return
    if count is not None and came < count:
        raise click.ClickException(f"only {came} of {count} outcomes came within {timeout_s:g} s")


@outcomes.command()
@company_option
@click.option("--since", type=INSTANT, required=True, help="Outcomes from this time on.")
@click.option("--until", type=INSTANT, default=None, help="Outcomes before this time; now where left out.")
@json_option
def resend(*, company: str, since: datetime, until: datetime | None, as_json: bool) -> None:
    """Publish a period's outcomes again, byte for byte, with the header replayed true."""
    if until is not None and until < since:
        raise click.UsageError("--until lies before --since")
    until = until or datetime.now(UTC)
    if until < since:
        raise click.UsageError("--since lies in the future")
    resent, unrouted = asyncio.run(_resend(company, since, until))
    if unrouted:
        note(f"{unrouted:,} of them reached no queue: is the downstream's queue bound to {catalog.OUTCOMES}?")
    print_record({"resent": resent, "unrouted": unrouted}, as_json=as_json)


def _check_queue(name: str) -> None:
    if name.startswith(("payments.", "amq.")):
        raise click.BadParameter("must not begin with payments. or amq.", param_hint="--queue")
    if not 1 <= len(name.encode()) <= QUEUE_NAME_BYTES_MAX:
        raise click.BadParameter(f"must have 1 to {QUEUE_NAME_BYTES_MAX} bytes", param_hint="--queue")


async def _follow(
    company: str | None, queue: str | None, count: int | None, timeout_s: float | None, *, as_json: bool
) -> int:
    """Print what comes until the count or the time is reached; return how many came."""
    came = 0
    printed: list[Delivery] = []
    prefetch = _prefetch(count)
    pattern = f"outcome.{company or '*'}.*"
    async with broker("outcomes follow") as connection:
        with link_errors(f"binding to {catalog.OUTCOMES}"):
            declared = await _bound(connection, pattern, company, queue)
            intake = Intake(await open_channel(connection), declared, prefetch)
            await intake.start()
        note(f"following {pattern} on {catalog.OUTCOMES}")
        if not as_json:
            click.echo(" ".join(f"{name:<{width}}" for name, width in _COLUMNS.items()).rstrip())
        try:
            async with asyncio.timeout(timeout_s):
                while count is None or came < count:
                    batch = await intake.take(prefetch if count is None else count - came)
                    came += sum(_print(delivery, as_json=as_json) for delivery in batch)
                    printed += batch
                    # For what is acknowledged as many more come. So where they are counted, it is a prefetch at a time.
                    if count is None or (came < count and len(printed) >= prefetch):
                        await intake.acknowledge(printed)
                        printed = []
        except TimeoutError:
            pass
        await intake.pause()
        await intake.acknowledge(printed)
    return came


def _prefetch(count: int | None) -> int:
    """Return how many to have unacknowledged: of a count an even part, so that hardly any goes back unread."""
    return math.ceil(count / math.ceil(count / FOLLOW_PREFETCH_MESSAGES)) if count else FOLLOW_PREFETCH_MESSAGES


async def _bound(connection: AbstractConnection, pattern: str, company: str | None, queue: str | None) -> str:
    """Bind a queue to the outcomes and return its name: the one given, or one that is gone with this command."""
    channel = await connection.channel()
    if queue is None:
        # A name that the company's downstream may declare; for all companies, one that the broker chooses.
        name = downstream_queue(company, f"follow-{secrets.token_hex(8)}") if company else None
        declared = await channel.declare_queue(name, exclusive=True, auto_delete=True)
    else:
        try:
            declared = await channel.declare_queue(queue, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, durable=True, arguments=quorum())
    await declared.bind(catalog.OUTCOMES, pattern)
    return declared.name


def _print(delivery: Delivery, *, as_json: bool) -> bool:
    """Print the outcome; say whether it is one."""
    event = _outcome(delivery.body)
    if event is None:
        note(f"passed over a message with routing key {delivery.routing_key}: it is no outcome")
        return False
    event["replayed"] = bool(delivery.headers.get(catalog.REPLAYED_HEADER))
    if as_json:
        print_json_line(event)
    else:
        click.echo(" ".join(f"{_cell(event, name):<{width}}" for name, width in _COLUMNS.items()).rstrip())
    return True


def _outcome(body: bytes) -> dict[str, Any] | None:
    try:
        event = read_json(body)
        encode(event)  # which half of a surrogate pair cannot be
    except (MalformedJsonError, UnicodeEncodeError):
        return None
    return event if isinstance(event, dict) else None


def _cell(event: dict[str, Any], name: str) -> str:
    if name == _FOCUSED:
        return "+".join(shown(event.get(f"focusedto{component}")) for component in name.split("+"))
    return shown(event.get(name))


async def _resend(company: str, since: datetime, until: datetime) -> tuple[int, int]:
    """Publish page by page; return how many were confirmed, and how many of those reached no queue."""
    resent = unrouted = 0
    async with books("outcomes resend") as session, publisher("outcomes resend") as link:
        async with session.connection() as connection:
            await policy_of(connection, company)
        with progress("Resending", "outcomes", None) as tell:
            after = Position(since)
            while True:
                async with session.connection() as connection:
                    page, after = await read_outcomes(connection, company, after, until, RELAY_WINDOW_MESSAGES)
                if not page:
                    return resent, unrouted
                routed: Sequence[bool] = await link.publish([outcome_publication(outcome) for outcome in page])
                resent += len(page)
                unrouted += routed.count(False)
                tell(resent, resent)
