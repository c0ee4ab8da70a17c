"""A company of a test's own, on a site that it shares with others."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas import catalog
from tests.integration.dialects import CANCEL, PAYMENTS, ROPO, Body, Payment, invoice_names
from tests.site import Event, Site, eventually

OPEN = {"capital": "80.00", "interest": "15.00", "noticefee": "5.00"}
"""What is open on an invoice, unless a test says otherwise: just what a payment of 100.00 pays."""
_numbers = itertools.count(1)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Company:
    """No other has its name, its keys, its wallet or its invoices, which are told apart by 0 to 9."""

    site: Site
    number: int
    source: str
    """What its payments come as, where nothing else is said."""

    @property
    def name(self) -> str:
        return f"company-{self.number}"

    @property
    def wallet(self) -> str:
        return f"W{self.number}"

    def key(self, key: str) -> str:
        return f"{key}-{self.number}"

    def names(self, invoice: int = 0) -> Body:
        return invoice_names(10 * self.number + invoice)

    async def put(self, invoice: int = 0, *, owner: str | None = None, **changes: Any) -> None:
        """Have the invoice stated, or one of those names that is another company's."""
        await self.site.put(owner or self.name, **OPEN | self.names(invoice) | changes)

    async def fund(self, **funds: str) -> None:
        body = {"number": self.wallet, "version": 1} | funds
        await self.site.publish("invoice", body, company=self.name, type=catalog.WALLET_PUT)
        sql = "SELECT EXISTS (SELECT FROM wallets WHERE company = $1)"
        await eventually(lambda: self.site.database.fetchval(sql, self.name))

    def says(self, key: str, *, source: str | None = None, invoice: int = 0, **says: str) -> Body:
        """Return the body of a payment of the invoice: 100.00 on 2017-10-10, unless it says otherwise."""
        said = Payment(key=self.key(key), number=10 * self.number + invoice, **says)
        return PAYMENTS[source or self.source](said)

    async def pay(
        self,
        key: str = "payment",
        *,
        source: str | None = None,
        payer: str | None = None,
        adds: Mapping[str, object] | None = None,
        invoice: int = 0,
        **says: str,
    ) -> Body:
        """Publish a payment and return its outcome. payer: another company that pays, under this one's key."""
        body = self.says(key, source=source, invoice=invoice, **says) | dict(adds or {})
        return (await self.send(key, source or self.source, body, payer)).body

    async def cancel(self, payment: str = "payment", key: str = "cancellation") -> Body:
        return (await self.send(key, CANCEL, {"payment": self.key(payment)})).body

    async def send(self, key: str, source: str, body: Body, payer: str | None = None) -> Event:
        await self.site.publish("registration", body, key=self.key(key), company=payer or self.name, type=source)
        return await self.site.event_of(self.key(key))

    async def outcome(self, key: str = "payment") -> Body:
        """Return the next outcome of the key that comes by itself."""
        return (await self.site.event_of(self.key(key))).body


async def found(site: Site, source: str = ROPO, **rules: Any) -> Company:
    """Return a new company with that policy."""
    company = Company(site, next(_numbers), source)
    await site.policy(company.name, **rules)
    return company


async def under(
    site: Site, policies: list[Mapping[str, Any]], play: Callable[[Company], Awaitable[Result]]
) -> list[Result]:
    """Play the same in a company of each policy, and return what came of it."""
    return [await play(await found(site, **rules)) for rules in policies]
