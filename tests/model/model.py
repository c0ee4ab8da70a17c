"""A small model of the books, to hold the real ones against: plain, slow, in memory, sharing no line of code with them.

It is asked one thing after another and says what comes of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from tests.model.asked import (
    NOTHING,
    Asked,
    Cancel,
    Garbled,
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
from tests.model.shares import Invoice, book, is_closed

UNDONE, FAIL, OLD, CLOSE, BOOKED, IGNORE, DIFFCID, NOT_FOUND, CANCELLED = 0, 1, 2, 5, 6, 8, 9, 10, 11


@dataclass
class Wallet:
    currency: str
    version: int
    unconditional: int
    drawn: int = 0


@dataclass
class Held:
    """What is known of a key."""

    asked: Asked | None = None
    told: Told | None = None
    is_cancelled: bool = False
    """A cancellation named it: it will not be booked any more."""
    awaits_since: datetime | None = None


class Model:
    """The books. now: when a thing is asked, which matters to payment dates and to payments that wait."""

    def __init__(self, rules: Mapping[str, Rules]) -> None:
        self.rules = rules
        self.invoices: dict[Name, Invoice] = {}
        self.wallets: dict[Name, Wallet] = {}
        self.held: dict[tuple[str, str], Held] = {}

    def put(self, put: PutInvoice | PutWallet) -> bool:
        """State an invoice or a wallet; say whether that was refused. A version that is not new changes nothing."""
        return self._put_invoice(put) if isinstance(put, PutInvoice) else self._put_wallet(put)

    def ask(self, asked: Asked, now: datetime) -> Told:
        """Return what comes of a payment or a cancellation that arrives."""
        held = self._held(asked.company, asked.key)
        if held.told is not None and held.told.is_final:
            if asked == held.asked:
                return replace(held.told, is_replay=True)
            if isinstance(asked, Garbled):
                return Told(FAIL, "invalid")
            return Told(FAIL, "idempotency_conflict", asked.amount if isinstance(asked, Pay) else 0)
        told = self._judge(asked, held, now)
        held.awaits_since = _awaits_since(asked, told, held, now)
        held.asked, held.told = asked, told
        self._move(told)
        return told

    def look(self, company: str, key: str, now: datetime) -> Told | None:
        """Return what comes of a payment left undone as it is looked at again; None where it stays undone."""
        held = self._held(company, key)
        if held.asked is None or (company, key) not in self.undone():
            return None
        told = self._judge(held.asked, held, now)
        if told.statusid == UNDONE:
            return None
        held.told, held.awaits_since = told, None
        self._move(told)
        return told

    def undone(self) -> set[tuple[str, str]]:
        return {name for name, held in self.held.items() if held.told is not None and held.told.statusid == UNDONE}

    def _held(self, company: str, key: str) -> Held:
        return self.held.setdefault((company, key), Held())

    def _put_invoice(self, put: PutInvoice) -> bool:
        name = put.company, put.number
        invoice = self.invoices.get(name)
        if invoice is None:
            currency = put.currency or self.rules[put.company].currency
            self.invoices[name] = Invoice(currency, put.version, put.stated, put.state, put.due)
            return False
        if put.version <= invoice.version:
            return False
        booked = total(invoice.entries)
        currency = put.currency or invoice.currency
        if (booked != NOTHING and currency != invoice.currency) or min(minus(put.stated, booked)) < 0:
            return True
        self.invoices[name] = Invoice(currency, put.version, put.stated, put.state, put.due, invoice.entries)
        return False

    def _put_wallet(self, put: PutWallet) -> bool:
        name = put.company, put.number
        wallet = self.wallets.get(name)
        if wallet is None:
            currency = put.currency or self.rules[put.company].currency
            self.wallets[name] = Wallet(currency, put.version, put.unconditional)
            return False
        if put.version <= wallet.version:
            return False
        currency = put.currency or wallet.currency
        if wallet.drawn and (currency != wallet.currency or put.unconditional < wallet.drawn):
            return True
        self.wallets[name] = Wallet(currency, put.version, put.unconditional, wallet.drawn)
        return False

    def _judge(self, asked: Asked, held: Held, now: datetime) -> Told:
        if isinstance(asked, Garbled):
            return Told(FAIL, "invalid")
        if isinstance(asked, Cancel):
            return self._judge_cancel(asked)
        return self._judge_payment(asked, held, now)

    def _judge_cancel(self, cancel: Cancel) -> Told:
        """Whatever comes of it, the payment that it names is not booked from now on, even if it has not come yet."""
        held = self._held(cancel.company, cancel.payment)
        told = held.told
        if told is not None and told.reason == "cancelled":
            return Told(FAIL, "payment_is_cancellation")
        was_cancelled, held.is_cancelled = held.is_cancelled, True
        if told is not None and told.statusid == BOOKED:
            if was_cancelled:
                return Told(CANCELLED, "already_cancelled")
            parts = tuple(
                Part(part.invoice, -part.amount, minus(NOTHING, part.focused), minus(NOTHING, part.written_off))
                for part in told.parts
            )
            return Told(CANCELLED, "cancelled", -(told.amount or 0), parts, -told.surcharge, told.wallet)
        if told is not None:
            return Told(CANCELLED, "payment_not_booked")
        is_foreign = any(
            held.told is not None
            for (company, key), held in self.held.items()
            if key == cancel.payment and company != cancel.company
        )
        if is_foreign and not self.rules[cancel.company].hides_foreign:
            return Told(DIFFCID, "payment_of_another_company")
        return Told(NOT_FOUND, "payment_not_found")

    def _judge_payment(self, pay: Pay, held: Held, now: datetime) -> Told:
        """The first that is wrong with a payment decides: with itself, with its invoices, with its wallet."""
        refusal = self._refuse_unseen(pay, held, now) or self._refuse_lines(pay, held, now)
        return refusal or self._refuse_wallet(pay) or self._judge_booking(pay)

    def _refuse_unseen(self, pay: Pay, held: Held, now: datetime) -> Told | None:
        closed_until = self.rules[pay.company].closed_until
        if pay.is_cancelled or held.is_cancelled:
            return Told(CANCELLED, "payment_cancelled", pay.amount)
        if pay.amount == 0:
            return Told(IGNORE, "amount_zero")
        if closed_until is not None and pay.paydate <= closed_until:
            return Told(OLD, "period_closed", pay.amount)
        if pay.paydate > now.date():
            return Told(UNDONE, "paydate_in_future", pay.amount)
        return None

    def _refuse_lines(self, pay: Pay, held: Held, now: datetime) -> Told | None:
        rules = self.rules[pay.company]
        for line in pay.lines:
            invoice = self.invoices.get(line.invoice)
            if invoice is None or line.owner != pay.company:
                since = min(held.awaits_since or now, now)
                if now < since + timedelta(seconds=rules.awaits_s):
                    return Told(UNDONE, "invoice_awaited", pay.amount)
                if invoice is not None and not rules.hides_foreign:
                    return Told(DIFFCID, "invoice_of_another_company", pay.amount)
                return Told(NOT_FOUND, "invoice_not_found", pay.amount)
            if invoice.currency != (pay.currency or rules.currency):
                return Told(FAIL, "wrong_currency", pay.amount)
            if invoice.state == "CANCELLED":
                return Told(CANCELLED, "invoice_cancelled", pay.amount)
        return None

    def _refuse_wallet(self, pay: Pay) -> Told | None:
        if pay.wallet is None:
            return None
        wallet = self.wallets.get((pay.company, pay.wallet))
        if wallet is None:
            return Told(FAIL, "wallet_not_found", pay.amount)
        if wallet.currency != (pay.currency or self.rules[pay.company].currency):
            return Told(FAIL, "wrong_currency", pay.amount)
        return None

    def _judge_booking(self, pay: Pay) -> Told:
        rules = self.rules[pay.company]
        wallet = None if pay.wallet is None else self.wallets[pay.company, pay.wallet]
        parts = book(pay, rules, self.invoices)
        looks_same = not self._twins(pay).isdisjoint((part.invoice, part.amount) for part in parts)
        is_twin = rules.duplicates != "off" and looks_same
        if is_twin and rules.duplicates == "reject":
            return Told(OLD, "duplicate", pay.amount)
        if is_closed(pay, self.invoices):
            return Told(CLOSE, "invoice_closed", pay.amount)
        takes_no_more = pay.rejects_overpayment or rules.rejects_overpayment or pay.is_write_off or wallet is not None
        if takes_no_more and any(part.amount > sum(part.focused) for part in parts):
            return Told(FAIL, "overpayment", pay.amount)
        amount = sum(part.amount for part in parts)
        if wallet is not None and amount > wallet.unconditional - wallet.drawn:
            return Told(FAIL, "wallet_funds_insufficient", pay.amount)
        reason = "booked_possible_duplicate" if is_twin else "booked"
        drawn = None if pay.wallet is None else (pay.company, pay.wallet)
        return Told(BOOKED, reason, amount, parts, pay.surcharge, drawn)

    def _twins(self, pay: Pay) -> set[tuple[Name, int]]:
        """Return invoices and amounts, none zero, of what is booked of that date and type and not cancelled."""
        return {
            (part.invoice, part.amount)
            for held in self.held.values()
            if isinstance(held.asked, Pay) and held.told is not None and held.told.statusid == BOOKED
            if not held.is_cancelled and (held.asked.paydate, held.asked.type) == (pay.paydate, pay.type)
            for part in held.told.parts
            if part.amount
        }

    def _move(self, told: Told) -> None:
        for part in told.parts:
            invoice = self.invoices[part.invoice]
            entry = total([part.focused, part.written_off])
            invoice.entries.append(entry)
            if sum(entry) < 0 and invoice.state == "CLOSED":
                invoice.state = "OPEN"
        if told.wallet is not None:
            self.wallets[told.wallet].drawn += told.amount or 0


def _awaits_since(asked: Asked, told: Told, held: Held, now: datetime) -> datetime | None:
    """Return since when an unknown invoice is awaited: for a payment of a later day, from that day on."""
    if told.statusid != UNDONE or not isinstance(asked, Pay):
        return None
    if told.reason == "paydate_in_future":
        return datetime.combine(asked.paydate, time(), UTC)
    return min(held.awaits_since or now, now)
