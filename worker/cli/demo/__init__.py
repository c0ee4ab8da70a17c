"""`payment-worker demo`."""

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from worker.books.audit import audit
from worker.books.companies import put_policy
from worker.books.migrate import migrate
from worker.books.session import Session
from worker.broker.connection import link_errors
from worker.broker.topology import declare
from worker.cli.audit import told
from worker.cli.broker import broker
from worker.cli.demo import story
from worker.cli.demo.process import UnexpectedError, WorkerProcess, running
from worker.cli.demo.show import Show
from worker.cli.demo.stage import Stage, check
from worker.cli.servers import books, read_urls
from worker.domain.errors import WorkerError
from worker.domain.policy import Policy
from worker.domain.verdict import Reason
from worker.settings import Settings


@click.command()
@click.option("--keep", is_flag=True, help="Leave the worker running afterwards, until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """Show the main job on the published examples: payments go in, outcomes come out, and the books add up.

    Runs on the servers of the environment, under a company of its own, so it can be repeated. Exit 0 only if all is as
    it must be.
    """
    if not asyncio.run(_until_signalled(keep=keep)):
        raise click.ClickException("interrupted before the end")


async def _until_signalled(*, keep: bool) -> bool:
    """Run the demo; a signal ends it in good order. Return whether the story came to its end."""
    run = asyncio.ensure_future(_run(done := asyncio.Event(), keep=keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, run.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await run
    return done.is_set()


async def _run(done: asyncio.Event, *, keep: bool) -> None:
    settings, _, database_url = read_urls()
    company = f"demo-{secrets.token_hex(3)}"
    show = Show()
    async with books("demo") as session, broker("demo") as connection:
        async with session.connection() as checked:
            await checked.execute("SELECT 1")
        await migrate(database_url)
        with link_errors("declaring the topology"):
            await declare(connection)
        async with session.transaction() as writing:
            await put_policy(writing, Policy(company=company, currency=story.CURRENCY))
        async with _worker() as worker:
            await worker.ready()
            show.title("What payment-worker makes of payments")
            show.line(f"Company {company} is created, and a worker takes messages.")
            stage = Stage(company, session, connection, worker)
            await stage.open()
            await _tell(show, stage, session, company)
            done.set()
            if keep:
                await _keep(show, settings, company, worker)


async def _tell(show: Show, stage: Stage, session: Session, company: str) -> None:
    invoices, payments = story.invoices(), story.payments(unknown=secrets.token_hex(3))
    show.title(f"Invoices in: invoice.put.v1, exchange payments, key invoice.{company}")
    show.invoices(invoices)
    await stage.state(invoices)

    show.title(f"Payments in: exchange payments, key registration.{company}")
    show.payments(payments)
    answers = await stage.register(payments)

    show.title(f"Outcomes out: exchange payments.outcomes, keys outcome.{company}.*")
    show.outcomes(answers)
    letter = await stage.dead_letter()
    (reopened,) = await stage.invoices([story.PART_INVOICE])
    check(payments, answers, letter, reopened)
    for number, payment in payments.items():
        if payment.repeats:
            event_id = answers[number].event["event_id"]
            show.line(
                f"Payment {number} is payment 1 come again: booked once, and answered with the same event, "
                f"byte for byte: event_id {event_id}, header replayed: true."
            )
        if payment.status is None:
            show.dead_letter(number, letter)
        if payment.reason is Reason.CANCELLED:
            show.reopened(number, story.PART, reopened)

    first, *others = story.PUBLISHED
    show.title(f"The response to payment 1 in {story.PUBLISHED[first]}'s own shape")
    show.response(answers[first])
    show.title("The responses to payments 2 to 4, each in its system's own shape")
    show.responses({story.PUBLISHED[number]: answers[number] for number in others})

    result = await audit(session)
    show.title("The audit of the whole database")
    *lines, verdict = told(result)
    for line in lines:
        show.line(line)
    show.line(verdict, "green" if result.adds_up else "red")
    if not result.adds_up:
        raise UnexpectedError("the books do not add up")


async def _keep(show: Show, settings: Settings, company: str, worker: WorkerProcess) -> None:
    show.next_steps(settings, company, worker.http_port)
    await worker.ended()
    raise UnexpectedError("the worker ended by itself")


@asynccontextmanager
async def _worker() -> AsyncIterator[WorkerProcess]:
    """Give the block a worker; where the block fails, its log is shown."""
    async with running() as worker:
        try:
            yield worker
        except WorkerError:
            for line in worker.log:
                print(line, file=sys.stderr)  # noqa: T201
            raise
