"""What the upstream sends: drawn from the seed, so that each payment and each step can be drawn again by its number."""

import json
from array import array
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from random import Random
from typing import Any, NamedTuple

from tests.endurance.world import CANCELLED, CLOSED, FIRST_ORDINARY, HOT, Company, World, spell

PAYDATE = "2026-01-15"
AMOUNT_MAX = 20_000
RECENT = 2_000
"""How many payments back a step goes that comes soon after its payment."""


class Kind(StrEnum):
    """What a payment is for. The value of those that cannot be read is their dead letter's reason."""

    PAYABLE = "payable"
    UNKNOWN_INVOICE = "invoice_not_found"
    CLOSED_INVOICE = "invoice_closed"
    CANCELLED_INVOICE = "invoice_cancelled"
    FOREIGN_INVOICE = "invoice_of_another_company"
    INVALID = "invalid"
    MALFORMED = "malformed_json"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_COMPANY = "unknown_company"
    CONTENT_TYPE = "unsupported_content_type"

    @property
    def is_readable(self) -> bool:
        return self not in (Kind.MALFORMED, Kind.UNKNOWN_TYPE, Kind.UNKNOWN_COMPANY, Kind.CONTENT_TYPE)

    @property
    def is_filed(self) -> bool:
        """Say whether it becomes a dead letter. An invalid one is answered too."""
        return self is Kind.INVALID or not self.is_readable


PER_MILLE = {
    Kind.PAYABLE: 930,
    Kind.UNKNOWN_INVOICE: 15,
    Kind.CLOSED_INVOICE: 10,
    Kind.CANCELLED_INVOICE: 10,
    Kind.FOREIGN_INVOICE: 10,
    Kind.INVALID: 10,
    Kind.MALFORMED: 5,
    Kind.UNKNOWN_TYPE: 4,
    Kind.UNKNOWN_COMPANY: 3,
    Kind.CONTENT_TYPE: 3,
}
HOT_PERCENT = 15
TWO_LINES_PERCENT = 15


class Action(IntEnum):
    PAY = 0
    AGAIN = 1
    """The same key and content."""
    CONFLICT = 2
    """The same key, another amount."""
    OTHER_CONFLICT = 3
    CANCEL = 4
    CANCEL_ANEW = 5
    """A cancellation of the same payment under another key."""


EXTRA_PER_MILLE = {
    Action.AGAIN: 100,
    Action.CONFLICT: 15,
    Action.OTHER_CONFLICT: 5,
    Action.CANCEL: 9,
    Action.CANCEL_ANEW: 1,
}
VARIANTS = {Action.PAY: 0, Action.AGAIN: 0, Action.CONFLICT: 1, Action.OTHER_CONFLICT: 2}
"""What is added to the amount, in minor units: each makes another content."""
CANCELLATIONS = {Action.CANCEL: "cancel", Action.CANCEL_ANEW: "anew"}


class Payment(NamedTuple):
    number: int
    company: Company
    kind: Kind
    lines: tuple[tuple[str, int], ...]
    """Billcode and minor units."""
    is_hot: bool

    @property
    def amount(self) -> int:
        return sum(amount for _, amount in self.lines)


class Step(NamedTuple):
    number: int
    action: Action
    payment: Payment

    @property
    def is_cancellation(self) -> bool:
        return self.action in CANCELLATIONS

    @property
    def key(self) -> str:
        prefix = CANCELLATIONS.get(self.action, "pay")
        return f"{prefix}-{self.payment.number}"

    @property
    def company(self) -> str:
        """Return the company that the message is published for."""
        is_nobody = self.payment.kind is Kind.UNKNOWN_COMPANY and not self.is_cancellation
        return "nobody" if is_nobody else self.payment.company.name

    @property
    def is_answered(self) -> bool:
        return self.is_cancellation or self.payment.kind.is_readable

    @property
    def dead_letter(self) -> str | None:
        """Return the reason that it is filed for, if it is."""
        return self.payment.kind.value if self.payment.kind.is_filed and not self.is_cancellation else None


class Message(NamedTuple):
    routing_key: str
    type: str
    body: bytes
    content_type: str = "application/json"


class Traffic:
    """All steps in the order in which they are published."""

    def __init__(self, seed: int, payments: int, world: World) -> None:
        self._seed = seed
        self._world = world
        self.payments = payments
        self._numbers = array("I")
        self._actions = bytearray()
        self._is_answered = bytearray()
        self.filed: list[int] = []
        """The steps that become dead letters."""
        for number in range(payments):
            self._add(number, Action.PAY)
            draw = Random(seed * 2**40 + 2 * number + 1)  # noqa: S311 (it has to come out the same again)
            for action, per_mille in EXTRA_PER_MILLE.items():
                if draw.randrange(1000) < per_mille:
                    recent = max(number - draw.randrange(RECENT), 0)
                    self._add(draw.choice([number, recent, draw.randint(0, number)]), action)
        self.answers = self._is_answered.count(1)

    def _add(self, number: int, action: Action) -> None:
        self._numbers.append(number)
        self._actions.append(action)
        step = self.step(len(self) - 1)
        self._is_answered.append(step.is_answered)
        if step.dead_letter is not None:
            self.filed.append(step.number)

    def __len__(self) -> int:
        return len(self._numbers)

    def count(self, *actions: Action) -> int:
        return sum(map(self._actions.count, actions))

    def is_answered(self, number: int) -> bool:
        return bool(self._is_answered[number])

    def unanswered(self) -> bytearray:
        """Return a byte for each step: 1 for one that gets no answer, but a dead letter alone."""
        return bytearray(1 - answered for answered in self._is_answered)

    def cancelled(self) -> set[int]:
        """Return the payments that a cancellation names."""
        pairs = zip(self._numbers, self._actions, strict=True)
        return {number for number, action in pairs if action in CANCELLATIONS}

    def step(self, number: int) -> Step:
        return Step(number, Action(self._actions[number]), self.payment(self._numbers[number]))

    def payment(self, number: int) -> Payment:
        draw = Random(self._seed * 2**40 + 2 * number)  # noqa: S311 (it has to come out the same again)
        companies = self._world.companies
        place = draw.randrange(len(companies))
        company = companies[place]
        kind = draw.choices(tuple(PER_MILLE), tuple(PER_MILLE.values()))[0]
        is_hot = kind is Kind.PAYABLE and draw.randrange(100) < HOT_PERCENT
        count = 2 if kind is Kind.PAYABLE and not is_hot and draw.randrange(100) < TWO_LINES_PERCENT else 1
        whose = companies[place - 1] if kind is Kind.FOREIGN_INVOICE else company
        lines = tuple(
            (self._world.billcode(whose, self._invoice(draw, number, kind, is_hot=is_hot)), draw.randint(1, AMOUNT_MAX))
            for _ in range(count)
        )
        return Payment(number, company, kind, lines, is_hot)

    def _invoice(self, draw: Random, number: int, kind: Kind, *, is_hot: bool) -> int:
        if kind is Kind.UNKNOWN_INVOICE:
            return self._world.invoices_of_each + number
        if kind is Kind.CLOSED_INVOICE:
            return draw.choice(CLOSED)
        if kind is Kind.CANCELLED_INVOICE:
            return draw.choice(CANCELLED)
        return draw.choice(HOT) if is_hot else draw.randrange(FIRST_ORDINARY, self._world.invoices_of_each)


def message(step: Step) -> Message:
    """Return what is published. A step that comes again says the same in other bytes, if it can be read."""
    payment = step.payment
    topic = f"registration.{step.company}"
    if step.is_cancellation:
        return Message(topic, "payment.cancel.v1", _encode({"payment": f"pay-{payment.number}"}))
    match payment.kind:
        case Kind.MALFORMED:
            return Message(topic, "ropo.payment.v1", b'{"amount": "1.00", "billcode"')
        case Kind.UNKNOWN_TYPE:
            return Message(topic, "nobody.payment.v1", _encode(_ropo(payment, 0)))
        case Kind.CONTENT_TYPE:
            return Message(topic, "ropo.payment.v1", _encode(_ropo(payment, 0)), "text/xml")
        case Kind.UNKNOWN_COMPANY:
            return Message(topic, "ropo.payment.v1", _encode(_ropo(payment, 0)))
        case Kind.INVALID:
            return Message(topic, "ropo.payment.v1", _encode(_ropo(payment, 0) | {"amount": "much"}))
    variant = VARIANTS[step.action]
    body = _ropo(payment, variant) if len(payment.lines) == 1 else _register(payment, variant)
    if step.action is Action.AGAIN:
        body = dict(reversed(body.items()))
    return Message(topic, "ropo.payment.v1" if len(payment.lines) == 1 else "payment.register.v1", _encode(body))


def _ropo(payment: Payment, variant: int) -> dict[str, Any]:
    billcode, amount = payment.lines[0]
    return {"amount": spell(amount + variant, payment.company.currency), "billcode": billcode, "paydate": PAYDATE}


def _register(payment: Payment, variant: int) -> dict[str, Any]:
    """Return a payment over several invoices. A variant adds to the first."""
    lines = [
        {"billcode": billcode, "amount": spell(amount + variant * (place == 0), payment.company.currency)}
        for place, (billcode, amount) in enumerate(payment.lines)
    ]
    return {"lines": lines, "paydate": PAYDATE}


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
