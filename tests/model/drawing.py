"""Companies, invoices, wallets and payments drawn at random: with few names and small amounts, so that they meet."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal, TypeVar

from tests.model.asked import Line, Name, Pay, PutInvoice, PutWallet, Rules

COMPANIES = ("acme", "other")
WALLETS = (1, 2)
START = datetime(2017, 10, 10, 23, 40, tzinfo=UTC)
"""Shortly before midnight: in the course of a scenario the next day begins."""
TODAY = START.date()
DAY = timedelta(days=1)
ORDERS = (
    "noticefee-interest-capital",
    "noticefee-capital-interest",
    "interest-capital-noticefee",
    "interest-noticefee-capital",
    "capital-interest-noticefee",
)
OTHER_CURRENCIES = {"EUR": "USD", "JPY": "KRW"}
"""Each with as many digits."""

Drawn = TypeVar("Drawn")


class Draw:
    def __init__(self, random: Random) -> None:
        self.random = random
        self._versions = 0
        self._stated_in: dict[Name, str | None] = {}
        self.rules = {company: self.company() for company in COMPANIES}

    def one(self, *weighted: tuple[int, Drawn]) -> Drawn:
        weights, things = zip(*weighted, strict=True)
        return self.random.choices(things, weights)[0]  # type: ignore[no-any-return]

    def happens(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def amount(self) -> int:
        return self.random.randint(0, 12)

    def version(self) -> int:
        """Return the next version, or sometimes one that comes late."""
        self._versions += 1
        return self.one((5, self._versions), (1, self.random.randint(1, self._versions)))

    def whose(self) -> str:
        return self.one((3, COMPANIES[0]), (2, COMPANIES[1]))

    def company(self) -> Rules:
        return Rules(
            currency=self.random.choice(["EUR", "EUR", "JPY"]),
            order=self.random.choice(ORDERS),
            rejects_overpayment=self.happens(30),
            duplicates=self.random.choice(["off", "flag", "reject"]),
            tolerance=self.random.choice([None, None, 1, 3]),
            tolerance_percent=self.random.choice([None, None, 10, 40]),
            hides_foreign=self.happens(30),
            closed_until=self.random.choice([None, TODAY - DAY]),
            awaits_s=self.random.choice([0, 0, 200]),
        )

    def currency(self, company: str) -> str | None:
        """Return a currency to name: mostly none, sometimes another than the company's."""
        own = self.rules[company].currency
        return self.one((27, None), (1, own), (2, OTHER_CURRENCIES[own]))

    def invoice(self, company: str, number: int) -> PutInvoice:
        currency = self._stated_in[company, number] = self.currency(company)
        return PutInvoice(
            company,
            number,
            version=self.version(),
            stated=(self.amount() * 3, self.one((1, 0), (1, self.amount())), self.one((1, 0), (1, self.amount()))),
            state=self.one((20, "OPEN"), (3, "CLOSED"), (1, "CANCELLED")),
            due=self.one((1, None), (3, TODAY + DAY * self.random.randint(-2, 1))),
            currency=currency,
        )

    def wallet(self, company: str, number: int) -> PutWallet:
        funds, conditional = self.amount() * 2, self.amount()
        return PutWallet(company, number, self.version(), funds, conditional, self.currency(company))

    def payment(self, company: str, key: str) -> Pay:
        paydate = self.one((1, TODAY - DAY), (8, TODAY), (1, TODAY + DAY))
        kind = self.one((4, None), (2, "directpayment"))
        if self.happens(25):
            line = self.line(company, self.amount())
            return Pay(company, key, (line,), paydate, type=kind, source="ropo.payment.v1")
        lines, total = self._lines(company)
        wallet = self.one((6, None), (4, self.random.choice(WALLETS)))
        return Pay(
            company,
            key,
            lines,
            paydate,
            total,
            currency=self._stated_in.get(lines[0].invoice) if self.happens(70) else self.currency(company),
            type=kind,
            wallet=wallet,
            is_write_off=wallet is None and self.happens(15),
            surcharge=self.one((8, 0), (2, self.amount())),
            rejects_overpayment=self.happens(15),
            is_cancelled=self.happens(4),
        )

    def line(self, company: str, amount: int | Literal["all"] | None) -> Line:
        owner = self.one((30, company), (1, next(other for other in COMPANIES if other != company)))
        return Line(owner, self.number(), amount, self.random.choice(["billcode", "jobid", "billnum"]))

    def number(self) -> int:
        """Return the number of an invoice to pay."""
        raise NotImplementedError

    def _lines(self, company: str) -> tuple[tuple[Line, ...], int | None]:
        """Return lines that name amounts, or pay all, or share a total; and that total."""
        unnamed: Literal["named", "all", "share"] = self.one((4, "named"), (3, "all"), (4, "share"))
        lines = []
        for _ in range(self.one((5, 1), (4, 2), (3, 3))):
            is_named = unnamed == "named" or self.happens(30)
            lines.append(self.line(company, self.amount() if is_named else "all" if unnamed == "all" else None))
        if all(line.amount is not None for line in lines):
            return tuple(lines), None
        return tuple(lines), sum(line.amount or 0 for line in lines if line.amount != "all") + self.amount() * 2
