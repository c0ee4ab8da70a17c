"""Whether each step was answered as it must be: what was published against what the ledger was told."""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from tests.endurance.traffic import VARIANTS, Kind, Payment, Step, Traffic

UNBOOKED = 255
STATUSES = {
    "booked": 6,
    "cancelled": 11,
    "already_cancelled": 11,
    "payment_not_booked": 11,
    "payment_cancelled": 11,
    "payment_not_found": 10,
    "idempotency_conflict": 1,
    "overpayment": 1,
    "invalid": 1,
    "invoice_closed": 5,
    "invoice_cancelled": 11,
    "invoice_not_found": 10,
    "invoice_of_another_company": 9,
}

INDEX = "CREATE INDEX IF NOT EXISTS events_key ON events (company, key)"
BOOKED = "SELECT key, company, amount, count(*) FROM events WHERE statusid = 6 GROUP BY company, key"
CANCELLED = "SELECT cancels, company, count(*) FROM events WHERE reason = 'cancelled' GROUP BY company, cancels"
ANSWERS = """
    SELECT step, reason, statusid, company, key, amount, cancels, replays
    FROM answers JOIN events USING (event_id) ORDER BY step
"""
CHANGED = "SELECT company, key, reason FROM events WHERE is_changed"
ODDITIES = "SELECT company, key, reason, what FROM oddities JOIN events USING (event_id)"
NOT_TAKEN_BACK = """
    SELECT c.company, c.key FROM events c
    JOIN events p ON p.company = c.company AND p.key = c.cancels AND p.statusid = 6
    LEFT JOIN moves mp ON mp.event_id = p.event_id LEFT JOIN moves mc ON mc.event_id = c.event_id AND mc.line = mp.line
    WHERE c.reason = 'cancelled' AND (
        mc.event_id IS NULL OR c.amount <> -p.amount OR mc.billcode <> mp.billcode
        OR mc.capital <> -mp.capital OR mc.interest <> -mp.interest OR mc.noticefee <> -mp.noticefee
    )
"""


class Answer(NamedTuple):
    """An event that came for a step."""

    step: int
    reason: str
    statusid: int
    company: str
    key: str
    amount: int
    cancels: str | None
    replays: int


class Oracle:
    """Asks of each payment which content was booked, and then of each step whether its answers fit that."""

    def __init__(self, traffic: Traffic, memory: sqlite3.Connection) -> None:
        self._traffic = traffic
        self._memory = memory
        self._booked = bytearray([UNBOOKED]) * traffic.payments
        self._is_cancelled = bytearray(traffic.payments)
        self._is_named: set[int] = set()

    def violations(self) -> Iterator[str]:
        """Return, one by one, what is not as it must be."""
        self._memory.execute(INDEX)
        self._is_named = self._traffic.cancelled()
        yield from self._note_bookings()
        yield from self._note_cancellations()
        for company, key, reason in self._memory.execute(CHANGED):
            yield f"{company} {key}: an event ({reason}) came again with other bytes"
        for company, key, reason, what in self._memory.execute(ODDITIES):
            yield f"{company} {key}: an event ({reason}) contradicts itself: {what}"
        for company, key in self._memory.execute(NOT_TAKEN_BACK):
            yield f"{company} {key}: the cancellation does not take back what its payment moved"
        yield from self._check_steps()

    def _note_bookings(self) -> Iterator[str]:
        for key, company, amount, count in self._memory.execute(BOOKED):
            prefix, _, number = key.partition("-")
            if prefix != "pay" or not number.isdigit() or int(number) >= self._traffic.payments:
                yield f"{company} {key}: booked, and nobody published it"
                continue
            payment = self._traffic.payment(int(number))
            variant = amount - payment.amount
            if count > 1:
                yield f"{company} {key}: booked {count} times, by as many events"
            if variant not in VARIANTS.values() or company != payment.company.name or payment.kind is not Kind.PAYABLE:
                yield f"{company} {key}: booked {amount}, and {payment} was published"
                continue
            self._booked[payment.number] = variant

    def _note_cancellations(self) -> Iterator[str]:
        for key, company, count in self._memory.execute(CANCELLED):
            number = int(key.partition("-")[2])
            self._is_cancelled[number] = 1
            if count > 1:
                yield f"{company} {key}: cancelled {count} times, by as many events"
            if self._booked[number] == UNBOOKED:
                yield f"{company} {key}: cancelled, and was never booked"

    def _check_steps(self) -> Iterator[str]:
        groups = groupby(self._memory.execute(ANSWERS), key=itemgetter(0))
        step, rows = next(groups, (-1, ()))
        if step == -1 and rows:
            yield f"{len(list(rows))} events name no step in their correlation_id"
            step, rows = next(groups, (-1, ()))
        for number in range(len(self._traffic)):
            answers: list[Answer] = []
            if step == number:
                answers = [Answer(*row) for row in rows]
                step, rows = next(groups, (-1, ()))
            yield from self._check_step(self._traffic.step(number), answers)

    def _check_step(self, step: Step, answers: list[Answer]) -> Iterator[str]:
        name = f"{step.company} {step.key} (step {step.number}, {step.action.name}, {step.payment.kind})"
        if step.is_answered and not answers:
            yield f"{name}: no answer"
        if answers and not step.is_answered:
            yield f"{name}: answered {answers[0].reason}, and it cannot be read"
        allowed = self._allowed(step)
        for answer in answers:
            if answer.reason not in allowed or STATUSES.get(answer.reason) != answer.statusid:
                yield f"{name}: answered {answer.statusid} {answer.reason}, and not {' or '.join(sorted(allowed))}"
            if (answer.company, answer.key) != (step.company, step.key):
                yield f"{name}: answered under {answer.company} {answer.key}"
            amount = step.payment.amount + VARIANTS.get(step.action, 0)
            if not step.is_cancellation and answer.reason != "invalid" and answer.amount != amount:
                yield f"{name}: answered with the amount {answer.amount}"
            if step.is_cancellation and answer.cancels != f"pay-{step.payment.number}":
                yield f"{name}: answered with the cancellation of {answer.cancels}"
            if answer.replays and answer.reason not in ("booked", "cancelled"):
                yield f"{name}: a replay of {answer.reason}, which moved no money"

    def _allowed(self, step: Step) -> set[str]:
        """Return the reasons that an answer of the step may have, given what was booked and cancelled."""
        payment = step.payment
        booked = self._booked[payment.number]
        if step.is_cancellation:
            if booked == UNBOOKED:
                return {"payment_not_found", "payment_not_booked"}
            return {"cancelled", "already_cancelled"} if self._is_cancelled[payment.number] else set()
        if payment.kind is Kind.INVALID:
            return {"invalid"}
        before = {"payment_cancelled"} if booked == UNBOOKED and payment.number in self._is_named else set()
        if payment.kind is not Kind.PAYABLE:
            return before | {payment.kind.value}
        if not payment.is_hot:
            before |= _refusals(payment)
        if booked == UNBOOKED:
            return before
        return before | ({"booked"} if booked == VARIANTS[step.action] else {"idempotency_conflict"})


def _refusals(payment: Payment) -> set[str]:
    """Return how an invoice that others have paid meanwhile may refuse the payment."""
    return {"invoice_closed", "overpayment"} if payment.company.rejects_overpayment else {"invoice_closed"}
