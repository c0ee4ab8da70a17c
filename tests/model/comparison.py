"""The books held against the model: event by event, and by what is owed."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from tests.model.asked import Asked, Rules, Told
from tests.model.model import Model
from tests.model.wire import Wire, amounts, contradictions
from worker.books.session import Connection

INVOICES = """
    SELECT company, billcode AS name, currency, version, stated_state, capital - capital_allocated AS capital,
        interest - interest_allocated AS interest, noticefee - noticefee_allocated AS noticefee
    FROM invoices WHERE company = ANY ($1)
"""
WALLETS = (
    "SELECT company, number AS name, currency, version, unconditional, drawn FROM wallets WHERE company = ANY ($1)"
)
RACING_REASONS = frozenset(
    {"payment_not_found", "payment_not_booked", "payment_of_another_company", "payment_is_cancellation"}
)
"""Of a cancellation that has nothing to reverse and nothing to mark. It locks nothing, so what it is told of the key
may be older than what another worker wrote beside it."""

KeyName = tuple[str, str]


class Disagreement(AssertionError):
    """The books are not as the model says, or contradict themselves."""


class Comparison:
    """A model that is asked what the books were asked, in the order in which their events were written."""

    def __init__(self, wire: Wire, rules: Mapping[str, Rules]) -> None:
        self.model = Model(rules)
        self.reasons: Counter[str] = Counter()
        self._wire = wire
        self._heard: set[int] = set()
        self._bodies: dict[KeyName, bytes] = {}
        self._payment_ids: dict[KeyName, int] = {}

    def hear(self, number: int, step: Asked, body: bytes, now: datetime, *, is_replay: bool, is_racing: bool) -> bool:
        """Compare an event with what the model says to its step; say whether it is the step's first.

        A later event of the same step comes of another look at a payment that was left undone.
        """
        is_first = number not in self._heard
        self._heard.add(number)
        name = step.company, step.key
        about = f"{number} {step}" if is_first else f"{number} {step}, looked at again"
        told = self.model.ask(step, now) if is_first else self.model.look(*name, now)
        self.check(about, step, told, body, is_replay=is_replay, is_racing=is_racing)
        return is_first

    def check(
        self, about: str, step: Asked, told: Told | None, body: bytes, *, is_replay: bool, is_racing: bool
    ) -> None:
        """Compare what the model says with an event, and that with itself and what came before under the key."""
        event = json.loads(body)
        said = self._wire.told(event, is_replay=is_replay)
        self.reasons[said.reason] += 1
        expect(f"what {about} says of itself", [], contradictions(event))
        if told is None or not (is_racing and {said.reason, told.reason} <= RACING_REASONS):
            expect(about, told and replace(told, wallet=None), said if told is None else _as_far_as(told, said))
        name = step.company, step.key
        payment_id = self._payment_ids.setdefault(name, event["payment_id"])
        expect(f"the payment id of {about}", payment_id, event["payment_id"])
        if told is not None and told.is_final:
            expect(f"the one event of {about}", self._bodies.setdefault(name, body), body)
        if told is not None and told.is_final and not told.is_replay:
            left = {
                part.invoice: amounts(line, "{}after")
                for part, line in zip(told.parts, event["lines"], strict=True)
                if self.model.invoices[part.invoice].currency == event["currency"]
            }
            expect(f"what {about} leaves open", {name: self.model.invoices[name].owed for name in left}, left)

    def expect_nothing_forgotten(self, now: datetime) -> None:
        """After a look: no payment was left undone that could have been judged."""
        for company, key in sorted(self.model.undone()):
            expect(f"{key} of {company}, left undone,", None, self.model.look(company, key, now))

    async def balances(self, connection: Connection) -> None:
        """Compare all invoices and wallets."""
        companies = [self._wire.company(company) for company in self.model.rules]
        invoices = {
            (self._wire.company(name[0]), self._wire.invoice(name)["billcode"]): (
                *(invoice.currency, invoice.version, invoice.state),
                *invoice.owed,
            )
            for name, invoice in self.model.invoices.items()
        }
        expect_same("the invoices", invoices, await connection.fetch(INVOICES, companies))
        wallets = {
            (self._wire.company(company), self._wire.wallet(number)): (
                *(wallet.currency, wallet.version),
                *(wallet.unconditional, wallet.drawn),
            )
            for (company, number), wallet in self.model.wallets.items()
        }
        expect_same("the wallets", wallets, await connection.fetch(WALLETS, companies))


def expect(what: str, model: object, books: object) -> None:
    """Raise Disagreement where the books say otherwise than the model."""
    if model != books:
        raise Disagreement(f"{what}\n  model: {model}\n  books: {books}")


def expect_same(what: str, model: Mapping[Any, object], rows: list[asyncpg.Record]) -> None:
    """Raise Disagreement where the rows, of which two columns are the name, are not as the model has them."""
    books = {tuple(row)[:2]: tuple(row)[2:] for row in rows}
    names = [name for name in {**model, **books} if model.get(name) != books.get(name)]
    expect(what, {name: model.get(name) for name in names}, {name: books.get(name) for name in names})


def _as_far_as(told: Told, said: Told) -> Told:
    """Return what an event says, without an amount that the model does not tell."""
    return said if told.amount is not None else replace(said, amount=None)
