"""What a scenario asks of the books and what the model says comes of it. Amounts are minor units.

An amount of an invoice is a triple: capital, interest, notice fee. An invoice is named by the company that it belongs
to and a number, a wallet likewise.
"""

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from datetime import date
from typing import Literal

Amounts = tuple[int, int, int]
COMPONENTS = ("capital", "interest", "noticefee")
NOTHING: Amounts = (0, 0, 0)
Name = tuple[str, int]


def total(amounts: Iterable[Amounts]) -> Amounts:
    capital, interest, noticefee = 0, 0, 0
    for each in amounts:
        capital, interest, noticefee = capital + each[0], interest + each[1], noticefee + each[2]
    return capital, interest, noticefee


def minus(one: Amounts, other: Amounts) -> Amounts:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


class Brief:
    """Shown as the call that makes it, without what is as always."""

    def __repr__(self) -> str:
        said = []
        for each in fields(self):  # type: ignore[arg-type] # all that inherit it are dataclasses
            value = getattr(self, each.name)
            if value != each.default:
                shown = f"date({value.year}, {value.month}, {value.day})" if isinstance(value, date) else repr(value)
                said.append(shown if each.default is MISSING else f"{each.name}={shown}")
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, repr=False)
class Rules(Brief):
    """A company's policy."""

    currency: str = "EUR"
    order: str = "noticefee-interest-capital"
    rejects_overpayment: bool = False
    duplicates: Literal["off", "flag", "reject"] = "off"
    tolerance: int | None = None
    tolerance_percent: int | None = None
    hides_foreign: bool = False
    closed_until: date | None = None
    awaits_s: int = 0


@dataclass(frozen=True, repr=False)
class PutInvoice(Brief):
    company: str
    number: int
    version: int
    stated: Amounts
    state: Literal["OPEN", "CLOSED", "CANCELLED"] = "OPEN"
    due: date | None = None
    currency: str | None = None


@dataclass(frozen=True, repr=False)
class PutWallet(Brief):
    company: str
    number: int
    version: int
    unconditional: int
    conditional: int = 0
    currency: str | None = None


@dataclass(frozen=True, repr=False)
class Line(Brief):
    owner: str
    """The company whose invoice it is: another one than the payment's where the payer is wrong."""
    number: int
    amount: int | Literal["all"] | None
    """None: a share of the total."""
    by: Literal["billcode", "jobid", "billnum"] = "billcode"

    @property
    def invoice(self) -> Name:
        return self.owner, self.number


@dataclass(frozen=True, repr=False)
class Pay(Brief):
    company: str
    key: str
    lines: tuple[Line, ...]
    paydate: date
    total: int | None = None
    currency: str | None = None
    type: str | None = None
    wallet: int | None = None
    is_write_off: bool = False
    surcharge: int = 0
    rejects_overpayment: bool = False
    is_cancelled: bool = False
    source: Literal["ropo.payment.v1", "payment.register.v1"] = "payment.register.v1"

    @property
    def amount(self) -> int | None:
        """The whole, as far as the message says it."""
        if self.total is not None:
            return self.total
        amounts = [line.amount for line in self.lines if isinstance(line.amount, int)]
        return sum(amounts) if len(amounts) == len(self.lines) else None


@dataclass(frozen=True, repr=False)
class Cancel(Brief):
    company: str
    key: str
    payment: str


@dataclass(frozen=True, repr=False)
class Garbled(Brief):
    """A payment of which nothing can be read but its key."""

    company: str
    key: str


@dataclass(frozen=True, repr=False)
class Look(Brief):
    """The worker looks again at the payments that it left undone."""


Asked = Pay | Cancel | Garbled
"""What comes under a key."""
Step = PutInvoice | PutWallet | Asked | Look


@dataclass(frozen=True, repr=False)
class Part(Brief):
    """What a line of a payment did to its invoice; below zero in a cancellation."""

    invoice: Name
    amount: int
    focused: Amounts
    written_off: Amounts = NOTHING


@dataclass(frozen=True, repr=False)
class Told(Brief):
    """What comes of what was asked. A refusal has no parts; its amount is None where the model does not say it."""

    statusid: int
    reason: str
    amount: int | None = 0
    parts: tuple[Part, ...] = ()
    surcharge: int = 0
    wallet: Name | None = None
    is_replay: bool = False

    @property
    def is_final(self) -> bool:
        """Say whether money was moved, so that nothing else can come under the key."""
        return self.statusid == 6 or self.reason == "cancelled"
