"""A scenario whose end does not depend on the order in which its messages arrive, drawn from a seed.

Each payment has invoices, a wallet and a key of its own. An invoice that has not come is awaited; a cancellation undoes
its payment or keeps it from being booked.
"""

from dataclasses import dataclass, replace
from random import Random

from tests.model.asked import Asked, Cancel, PutInvoice, PutWallet, Rules
from tests.model.drawing import Draw

PAYMENTS = 60
INVOICES_OF_PAYMENT = 3


@dataclass(frozen=True)
class Unordered:
    rules: dict[str, Rules]
    wallets: tuple[PutWallet, ...]
    """To be there before all else: a wallet is not awaited."""
    invoices: tuple[PutInvoice, ...]
    asked: tuple[Asked, ...]


def draw_unordered(seed: int) -> Unordered:
    return _DrawUnordered(Random(seed)).unordered()  # noqa: S311 (it has to come out the same again)


class _DrawUnordered(Draw):
    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._payment = 0

    def unordered(self) -> Unordered:
        wallets, invoices, asked = [], [], list[Asked]()
        for self._payment in range(PAYMENTS):
            company, key = self.whose(), f"k{self._payment}"
            payment = self.payment(company, key)
            if payment.wallet is not None:
                payment = replace(payment, wallet=self._payment)
                wallets.append(self.wallet(company, self._payment))
            invoices += [self.invoice(company, number) for number in self._numbers()]
            asked.append(payment)
            if self.happens(30):
                asked.append(Cancel(company, f"c{self._payment}", key))
        return Unordered(self.rules, tuple(wallets), tuple(invoices), tuple(asked))

    def company(self) -> Rules:
        return replace(super().company(), awaits_s=3600)

    def number(self) -> int:
        return self.random.choice(self._numbers())

    def _numbers(self) -> range:
        return range(self._payment * INVOICES_OF_PAYMENT, (self._payment + 1) * INVOICES_OF_PAYMENT)
