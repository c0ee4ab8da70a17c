"""A scenario's steps as messages, under names that no other run has; and an event as the model would tell it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from schemas.catalog import INVOICE_PUT, WALLET_PUT
from schemas.codec import encode
from tests.model.asked import (
    COMPONENTS,
    Amounts,
    Asked,
    Cancel,
    Garbled,
    Line,
    Name,
    Part,
    Pay,
    PutInvoice,
    PutWallet,
    Rules,
    Told,
    minus,
    total,
)
from tests.model.drawing import COMPANIES

NUMBERS_MAX = 1000
"""Of a company's invoices in one run."""
MINOR_DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0}


@dataclass(frozen=True)
class Sent:
    """A message as an upstream sends it. Its correlation id is the number of its step."""

    topic: str
    company: str
    type: str
    body: bytes
    key: str | None = None
    correlation_id: str | None = None


class Wire:
    """What one run calls companies, invoices and keys, and how it spells what it sends."""

    def __init__(self, run: int, rules: Mapping[str, Rules]) -> None:
        self._run = run
        self._rules = rules

    def company(self, company: str) -> str:
        return f"run{self._run}-{company}"

    def key(self, key: str) -> str:
        return f"run{self._run}-{key}"

    def invoice(self, invoice: Name) -> dict[str, str | int]:
        owner, number = invoice
        name = f"run{self._run}-{owner}-{number}"
        return {
            "billcode": name,
            "billnum": f"R-{name}",
            "jobid": (self._run * len(COMPANIES) + COMPANIES.index(owner)) * NUMBERS_MAX + number,
        }

    def wallet(self, number: int) -> str:
        return f"W{number}"

    def send(self, step: PutInvoice | PutWallet | Asked, number: int) -> Sent:
        """Return the step's message. What is said does not depend on the number, only how amounts are spelled."""
        company = self.company(step.company)
        match step:
            case PutInvoice():
                return Sent("invoice", company, INVOICE_PUT, encode(self._put_invoice(step, number)))
            case PutWallet():
                return Sent("invoice", company, WALLET_PUT, encode(self._put_wallet(step, number)))
            case Pay(source="ropo.payment.v1"):
                kind, body = "ropo.payment.v1", self._ropo(step, number)
            case Pay():
                kind, body = "payment.register.v1", self._register(step, number)
            case Cancel():
                kind, body = "payment.cancel.v1", {"payment": self.key(step.payment)}
            case Garbled():
                kind, body = "ropo.payment.v1", {"amount": "nonsense"}
        return Sent("registration", company, kind, encode(body), self.key(step.key), str(number))

    def told(self, event: Mapping[str, Any], *, is_replay: bool) -> Told:
        """Return what the event tells. Its wallet is not told."""
        told = Told(event["statusid"], event["reason"], minor(event["amount"]), is_replay=is_replay)
        if not told.is_final:
            return told
        parts = tuple(
            Part(
                self._named(line["billcode"]),
                minor(line["amount"]),
                amounts(line, "focusedto{}"),
                amounts(line, "writtenoff{}"),
            )
            for line in event["lines"]
        )
        return Told(told.statusid, told.reason, told.amount, parts, minor(event["surcharge"]), None, is_replay)

    def _named(self, billcode: str) -> Name:
        _, owner, number = billcode.split("-")
        return owner, int(number)

    def _put_invoice(self, put: PutInvoice, number: int) -> dict[str, Any]:
        stated = {name: self._spell(amount, put, number) for name, amount in zip(COMPONENTS, put.stated, strict=True)}
        about = {"state": put.state, "due_date": _day(put.due), "currency": put.currency, "version": put.version}
        return self.invoice((put.company, put.number)) | stated | about

    def _put_wallet(self, put: PutWallet, number: int) -> dict[str, Any]:
        return {
            "number": self.wallet(put.number),
            "unconditional": self._spell(put.unconditional, put, number),
            "conditional": self._spell(put.conditional, put, number),
            "currency": put.currency,
            "version": put.version,
        }

    def _ropo(self, pay: Pay, number: int) -> dict[str, Any]:
        (line,) = pay.lines
        about = {"paydate": _day(pay.paydate), "type": pay.type}
        return about | self._line(line, pay, number)

    def _register(self, pay: Pay, number: int) -> dict[str, Any]:
        return {
            "lines": [self._line(line, pay, number) for line in pay.lines],
            "amount": None if pay.total is None else self._spell(pay.total, pay, number),
            "paydate": _day(pay.paydate),
            "currency": pay.currency,
            "type": pay.type,
            "wallet": None if pay.wallet is None else {"number": self.wallet(pay.wallet)},
            "settled_by": "write_off" if pay.is_write_off else "money",
            "surcharge": {"amount": self._spell(pay.surcharge, pay, number)} if pay.surcharge else None,
            "overpayment": "reject" if pay.rejects_overpayment else None,
            "status": "CANCELLED" if pay.is_cancelled else "FINAL",
        }

    def _line(self, line: Line, pay: Pay, number: int) -> dict[str, Any]:
        amount = self._spell(line.amount, pay, number) if isinstance(line.amount, int) else line.amount
        return {line.by: self.invoice(line.invoice)[line.by], "amount": amount}

    def _spell(self, amount: int, of: PutInvoice | PutWallet | Pay, number: int) -> str | Decimal:
        exact = Decimal(amount).scaleb(-MINOR_DIGITS[of.currency or self._rules[of.company].currency])
        return (str(exact), exact, f"{exact.normalize():f}")[number % 3]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def minor(text: str) -> int:
    """Return an amount of an event in minor units: it has exactly its currency's digits."""
    return int(text.replace(".", ""))


def amounts(told: Mapping[str, Any], name: str) -> Amounts:
    """Return an event's or a line's amounts of that name, such as "focusedto{}"."""
    capital, interest, noticefee = (minor(told[name.format(component)]) for component in COMPONENTS)
    return capital, interest, noticefee


def contradictions(event: Mapping[str, Any]) -> list[str]:
    """Return what an event says of itself that cannot be."""
    lines = event["lines"]
    is_final = event["statusid"] == 6 or event["reason"] == "cancelled"
    found = [problem for part in (event, *lines) for problem in _contradictions_of(part, is_final=is_final)]
    sums = {name: total(amounts(line, name) for line in lines) for name in ("focusedto{}", "writtenoff{}")}
    found += [f"{name} is not the sum of the lines" for name, summed in sums.items() if amounts(event, name) != summed]
    for name in ("amount", "unfocused") if lines else ():
        if sum(minor(line[name]) for line in lines) != minor(event[name]):
            found += [f"{name} is not the sum of the lines"]
    return found


def _contradictions_of(part: Mapping[str, Any], *, is_final: bool) -> Iterator[str]:
    focused, written_off = amounts(part, "focusedto{}"), amounts(part, "writtenoff{}")
    if minus(amounts(part, "{}before"), total([focused, written_off])) != amounts(part, "{}after"):
        yield "before is not focused + written off + after"
    if minor(part["amount"]) != sum(focused) + minor(part["unfocused"]):
        yield "amount is not focused + unfocused"
    if min(amounts(part, "{}after")) < 0:
        yield "less than nothing is open"
    if not is_final and (any(focused) or any(written_off)):
        yield "something is focused though nothing was moved"
