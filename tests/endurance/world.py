"""Companies and invoices that the payments are for, each drawn from the seed."""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

DIGITS = {"EUR": 2, "SEK": 2, "JPY": 0, "KWD": 3}
COMPONENTS = ("capital", "interest", "noticefee")
ORDERS = ("noticefee-interest-capital", "capital-interest-noticefee", "pro-rata")
COMPANIES_COUNT = 12
COMPANIES_OF_A_SHORT_RUN = 4
SHORT_PAYMENTS = 10_000
HOT = range(2)
"""Numbers of a company's invoices that many payments meet on and none ever closes."""
CLOSED = range(2, 4)
CANCELLED = range(4, 6)
FIRST_ORDINARY = 6
INVOICES_MIN = 120
PAYMENTS_PER_INVOICE = 10
HOT_CAPITAL = 10**12


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    currency: str
    order: str
    rejects_overpayment: bool

    def policy(self) -> list[str]:
        """Return the arguments of `companies put`."""
        overpayment = "reject" if self.rejects_overpayment else "keep"
        return [self.name, "--currency", self.currency, "--allocation", self.order, "--overpayment", overpayment]


class Invoice(NamedTuple):
    """Amounts are in minor units."""

    billcode: str
    state: str
    capital: int
    interest: int
    noticefee: int


def _company(number: int) -> Company:
    currency = tuple(DIGITS)[number % len(DIGITS)]
    return Company(f"c{number:02}", currency, ORDERS[number % len(ORDERS)], rejects_overpayment=number % 4 == 3)


COMPANIES = tuple(_company(number) for number in range(COMPANIES_COUNT))


class World:
    def __init__(self, seed: int, payments: int) -> None:
        self._seed = seed
        self.companies = COMPANIES[:COMPANIES_OF_A_SHORT_RUN] if payments < SHORT_PAYMENTS else COMPANIES
        self.invoices_of_each = max(INVOICES_MIN, payments // PAYMENTS_PER_INVOICE // len(self.companies))

    def billcode(self, company: Company, number: int) -> str:
        return f"{company.name}-{number}"

    def invoice(self, company: Company, number: int) -> Invoice:
        draw = Random(f"{self._seed} {company.name} {number}")  # noqa: S311 (it has to come out the same again)
        billcode = self.billcode(company, number)
        if number in HOT:
            return Invoice(billcode, "OPEN", HOT_CAPITAL, 12_345, 500)
        state = "CLOSED" if number in CLOSED else "CANCELLED" if number in CANCELLED else "OPEN"
        return Invoice(
            billcode, state, draw.randint(1_000, 2_000_000), draw.randint(0, 5_000), draw.choice([0, 500, 1_000])
        )

    def invoices(self, company: Company) -> list[Invoice]:
        return [self.invoice(company, number) for number in range(self.invoices_of_each)]

    def csv(self, company: Company) -> str:
        """Return the file for `invoices import`."""
        lines = ["billcode,state,capital,interest,noticefee"]
        for invoice in self.invoices(company):
            amounts = (spell(amount, company.currency) for amount in invoice[2:])
            lines.append(",".join((invoice.billcode, invoice.state, *amounts)))
        return "\n".join(lines) + "\n"


def spell(minor: int, currency: str) -> str:
    """Return the amount with exactly the currency's digits."""
    digits = DIGITS[currency]
    sign, text = "-" * (minor < 0), f"{abs(minor):0{digits + 1}}"
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else sign + text


def read(text: str, currency: str) -> int:
    """Return the minor units of an amount that has exactly the currency's digits. Raises ValueError."""
    whole, _, fraction = text.partition(".")
    if len(fraction) != DIGITS[currency]:
        raise ValueError(f"{text} is no amount in {currency}")
    return int(whole + fraction)
