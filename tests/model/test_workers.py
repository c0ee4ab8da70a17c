"""Random traffic through RabbitMQ and several whole workers, of which one is cut off in the middle."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest

from tests.model.asked import Asked, Cancel, Garbled, Pay, PutInvoice, PutWallet
from tests.model.comparison import Comparison, expect
from tests.model.evidence import check_balances, check_cancellations, check_events
from tests.model.scenario import draw_scenario
from tests.model.seeds import seeds, told_with
from tests.model.traffic import Traffic, doomed_worker, number_of
from tests.model.unordered import draw_unordered
from tests.model.wire import Sent, Wire
from tests.site import Site
from worker.books.audit import audit
from worker.books.session import Session

SEEDS = 3
STEPS = 300
EVENTS_BEFORE_THE_END = 40
"""Of the worker that is cut off."""
SENT_TWICE = 30


async def publish_and_cut_off(traffic: Traffic, sent: Sequence[Sent], doomed: "asyncio.Task[None]") -> None:
    publishing = asyncio.create_task(traffic.publish(sent))
    for _ in range(EVENTS_BEFORE_THE_END):
        traffic.events.append(await traffic.site.next_event())
    doomed.cancel()
    await publishing


async def expect_clean_audit(site: Site) -> None:
    async with Session(site.database_url, "audit") as session:
        expect("what the audit finds", [], (await audit(session)).findings)


@pytest.mark.parametrize("seed", seeds(SEEDS))
async def test_what_workers_do_in_a_race_is_as_the_model_says_in_the_order_of_their_events(
    site: Site, seed: int
) -> None:
    scenario = draw_scenario(seed, STEPS)
    steps = [step for batch in scenario.batches for step in batch]
    puts = {
        (type(step), step.company, step.number): step
        for step in reversed(steps)
        if isinstance(step, PutInvoice | PutWallet)
    }
    asked = [step for step in steps if isinstance(step, Asked)]
    rules = {company: replace(of, awaits_s=0) for company, of in scenario.rules.items()}
    traffic = Traffic(site, Wire(seed, rules))
    random = Random(seed)  # noqa: S311 (it has to come out the same again)
    with told_with(seed, "race"):
        async with site.worker(), site.worker(), doomed_worker(site) as doomed:
            await traffic.set_up(rules)
            await traffic.state(puts.values())
            sent = traffic.number(asked)
            await publish_and_cut_off(traffic, [*sent, *random.choices(sent, k=SENT_TWICE)], doomed)
            await traffic.are_answered()
            await traffic.publish(traffic.number(asked))
            await traffic.are_answered()
            await traffic.are_through()
        await traffic.take_rest()

        check_events(traffic)
        check_cancellations(traffic)
        await check_balances(traffic, list(puts.values()), site.database)
        comparison = Comparison(traffic.wire, rules)
        for put in puts.values():
            comparison.model.put(put)
        now = datetime.now(UTC)
        for event in [*traffic.first_events(), *(event for event in traffic.events if event.replayed)]:
            step = traffic.asked[number_of(event)]
            told = comparison.model.ask(step, now)
            comparison.check(f"{step}", step, told, event.message.body, is_replay=event.replayed, is_racing=True)
        await comparison.balances(site.database)
        garbled = {traffic.name(step) for step in asked if isinstance(step, Garbled)}
        letters = await site.dead_letters(len(garbled))
        expect("dead letters", garbled, {(letter["company"], letter["idempotency_key"]) for letter in letters})
        await expect_clean_audit(site)


@pytest.mark.parametrize("seed", seeds(SEEDS))
async def test_what_does_not_depend_on_the_order_ends_as_the_model_says_in_whatever_order_it_comes(
    site: Site, seed: int
) -> None:
    drawn = draw_unordered(seed)
    traffic = Traffic(site, Wire(seed, drawn.rules))
    comparison = Comparison(traffic.wire, drawn.rules)
    model, now = comparison.model, datetime.now(UTC)
    puts: list[PutInvoice | PutWallet] = [*drawn.wallets, *drawn.invoices]
    for put in puts:
        model.put(put)
    for step in drawn.asked:
        model.ask(step, now)
    for name in model.undone():
        model.look(*name, now)
    random = Random(seed)  # noqa: S311 (it has to come out the same again)
    with told_with(seed, "whatever_order"):
        async with site.worker(), site.worker(), doomed_worker(site) as doomed:
            await traffic.set_up(drawn.rules)
            await traffic.state(drawn.wallets)
            invoices = [traffic.wire.send(put, number) for number, put in enumerate(drawn.invoices)]
            sent = [*traffic.number(drawn.asked * 2), *invoices, *random.choices(invoices, k=SENT_TWICE)]
            random.shuffle(sent)
            await publish_and_cut_off(traffic, sent, doomed)
            await traffic.are_answered()
            await traffic.are_undone(model.undone())
            await traffic.are_through()
        await traffic.take_rest()

        check_events(traffic)
        check_cancellations(traffic)
        await check_balances(traffic, puts, site.database)
        await comparison.balances(site.database)
        last_events = {
            (event.body["company"], event.body["idempotency_key"]): event for event in traffic.first_events()
        }
        cancelled = {step.payment for step in drawn.asked if isinstance(step, Cancel)}
        for pay in drawn.asked:
            if isinstance(pay, Pay) and pay.key not in cancelled:
                told, event = model.held[pay.company, pay.key].told, last_events[traffic.name(pay)]
                comparison.check(f"{pay}", pay, told, event.message.body, is_replay=False, is_racing=False)
        await expect_clean_audit(site)
