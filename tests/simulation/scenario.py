"""What comes in during a run, drawn from the seed: a few messages, most of them about the same few payments."""

import json
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from random import Random
from typing import Any

from schemas.catalog import INVOICE_PUT
from worker.domain.policy import Policy
from worker.limits import RETRY_TIERS_S

MESSAGES_MIN, MESSAGES_MAX = 3, 9
AWAIT_INVOICE_S = 60
REPLY_QUEUE = "replies"
FAILURES_MAX = len(RETRY_TIERS_S) - 1
"""Of a payment that comes through in the end, whatever else happens to it."""
ALWAYS = 1_000_000


class Fate(Enum):
    """Where a message has to end."""

    ANSWERED = auto()
    DEAD = auto()
    BOTH = auto()
    """Invalid, but its key can be read."""
    TAKEN = auto()
    """An invoice's statement."""


@dataclass(frozen=True)
class Message:
    company: str
    key: str | None
    body: bytes
    topic: str = "registration"
    type: str = "ropo.payment.v1"
    fate: Fate = Fate.ANSWERED
    reason: str | None = None
    """Of its dead letter."""
    reply_to: str | None = None

    @property
    def routing_key(self) -> str:
        return f"{self.topic}.{self.company}"


@dataclass
class Scenario:
    run: str
    """What the names of its companies begin with."""
    policies: list[Policy]
    invoices: list[tuple[str, str]]
    """Company and billcode of those that are there from the beginning, with 100.00 open."""
    messages: list[Message]
    workers: int
    failures: dict[str, int] = field(default_factory=dict)
    """How often a payment's key makes the database fail."""
    replays_letters: bool = False

    def fate(self, message: Message) -> Fate:
        """Return the message's end: what nobody had thought of does not happen again when a letter is replayed."""
        is_mended = message.reason == "poison" and self.replays_letters
        return Fate.ANSWERED if is_mended else message.fate

    def routing_keys(self) -> list[str]:
        return sorted({message.routing_key for message in self.messages})


def draw_scenario(seed: int, run: str) -> Scenario:
    """Draw the seed's scenario. Its companies and keys begin with the run's name, which no other has."""
    return _Draw(Random(seed), run).scenario()  # noqa: S311 (it has to come out the same again)


class _Draw:
    def __init__(self, random: Random, run: str) -> None:
        self._random = random
        self._run = run
        self._companies = [f"{run}-a", f"{run}-b"][: random.choice((1, 1, 2))]
        self._asked: list[Message] = []
        self._keys = 0
        self._failures: dict[str, int] = {}
        self._versions = 0

    def scenario(self) -> Scenario:
        random = self._random
        policies = [
            Policy(company=company, currency="EUR", await_invoice_s=random.choice((0, AWAIT_INVOICE_S)))
            for company in self._companies
        ]
        invoices = [(company, f"{company}-{number}") for company in self._companies for number in (1, 2)]
        for _ in range(random.randint(MESSAGES_MIN, MESSAGES_MAX)):
            self._asked.append(self._one())
        return Scenario(
            self._run,
            policies,
            invoices,
            self._asked,
            random.choice((1, 1, 1, 2)),
            self._failures,
            replays_letters=self._happens(30),
        )

    def _one(self) -> Message:
        draws = (
            (34, self._pay),
            (14, self._again),
            (6, self._otherwise),
            (8, self._cancel),
            (8, self._put),
            (4, self._garbled),
            (4, self._invalid),
            (3, self._unreadable),
            (2, self._stranger),
            (2, self._failing),
        )
        (draw,) = self._random.choices([each for _, each in draws], [weight for weight, _ in draws])
        return draw()

    def _pay(self) -> Message:
        company = self._random.choice(self._companies)
        body: dict[str, Any] = {"paydate": "2026-01-10"}
        if self._happens(25):
            lines = [{"billcode": self._billcode(company), "amount": self._amount()} for _ in range(2)]
            body |= {"lines": lines if lines[0]["billcode"] != lines[1]["billcode"] else lines[:1]}
            return self._message(company, body, type="payment.register.v1")
        return self._message(company, body | {"billcode": self._billcode(company), "amount": self._amount()})

    def _again(self) -> Message:
        return self._random.choice(self._asked) if self._asked else self._pay()

    def _otherwise(self) -> Message:
        """Something else under a key that something came under before."""
        keyed = [message for message in self._asked if message.fate is Fate.ANSWERED]
        if not keyed:
            return self._pay()
        first, other = self._random.choice(keyed), self._pay()
        return replace(other, company=first.company, key=first.key)

    def _cancel(self) -> Message:
        paid = [message for message in self._asked if message.fate is Fate.ANSWERED]
        if not paid:
            return self._pay()
        first = self._random.choice(paid)
        return self._message(first.company, {"payment": first.key}, type="payment.cancel.v1")

    def _put(self) -> Message:
        """An invoice that was not there, or a later statement of one that was."""
        company = self._random.choice(self._companies)
        self._versions += 1
        billcode = f"{company}-{self._random.randint(1, 3)}"
        body = {"billcode": billcode, "capital": "2000.00", "version": 1 + self._versions}
        message = self._message(company, body, type=INVOICE_PUT)
        return replace(message, topic="invoice", key=None, fate=Fate.TAKEN, reply_to=None)

    def _garbled(self) -> Message:
        message = self._message(self._random.choice(self._companies), None)
        return replace(message, body=b"{" + (message.key or "").encode(), fate=Fate.DEAD, reason="malformed_json")

    def _unreadable(self) -> Message:
        """A type that nobody knows."""
        message = self._message(self._random.choice(self._companies), {}, type="nobody.knows.v1")
        return replace(message, fate=Fate.DEAD, reason="unknown_type")

    def _invalid(self) -> Message:
        message = self._message(self._random.choice(self._companies), {"amount": "much"})
        return replace(message, fate=Fate.BOTH, reason="invalid")

    def _stranger(self) -> Message:
        message = self._message(f"{self._companies[0]}-unknown", {"amount": "1.00"})
        return replace(message, fate=Fate.DEAD, reason="unknown_company")

    def _failing(self) -> Message:
        """A payment at which the database fails in a way that nobody has thought of: a few times, or always."""
        message = replace(self._pay(), reply_to=None)
        times = self._random.choice((1, FAILURES_MAX, ALWAYS))
        self._failures[message.key or ""] = times
        return replace(message, fate=Fate.DEAD, reason="poison") if times == ALWAYS else message

    def _message(self, company: str, body: object, **about: Any) -> Message:
        self._keys += 1
        reply_to = self._random.choice((None, None, None, REPLY_QUEUE, "gone"))
        return Message(
            company, f"{self._companies[0]}-key{self._keys}", json.dumps(body).encode(), reply_to=reply_to, **about
        )

    def _billcode(self, company: str) -> str:
        """Return an invoice of the company: one that is there, more seldom one that comes late or never."""
        if self._happens(3) and len(self._companies) > 1:
            company = self._companies[0]
        return f"{company}-{self._random.choice((1, 1, 1, 2, 2, 3))}"

    def _amount(self) -> str:
        return f"{self._random.choice((10, 60, 60, 100))}.00"

    def _happens(self, percent: int) -> bool:
        return self._random.random() * 100 < percent
