"""What is asked of the books, one thing after another, drawn from a seed: mostly about what was asked of before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.model.asked import Asked, Cancel, Garbled, Look, Pay, PutInvoice, PutWallet, Rules, Step
from tests.model.drawing import COMPANIES, DAY, WALLETS, Draw

INVOICES = range(1, 4)
PUT_LATE = 4
"""An invoice that is not there from the beginning."""
NEVER_PUT = 5
KEYS = tuple(f"k{number}" for number in range(1, 17))
CANCELLATION_KEYS = tuple(f"c{number}" for number in range(1, 9))
STEPS = 60
BATCH_STEPS_MAX = 16


@dataclass(frozen=True)
class Scenario:
    rules: Mapping[str, Rules]
    batches: tuple[tuple[Step, ...], ...]


def draw_scenario(seed: int, steps: int = STEPS) -> Scenario:
    return _DrawScenario(Random(seed)).scenario(steps)  # noqa: S311 (it has to come out the same again)


class _DrawScenario(Draw):
    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._asked: list[Asked] = []

    def scenario(self, count: int) -> Scenario:
        puts: list[Step] = [self.invoice(company, number) for company in COMPANIES for number in INVOICES]
        puts += [self.wallet(company, number) for company in COMPANIES for number in WALLETS[:1]]
        batches = [tuple(puts)]
        while count > 0:
            batch: list[Step] = []
            size = self.random.randint(1, BATCH_STEPS_MAX)
            while len(batch) < size:
                steps = self._next()()
                batch += steps
                self._asked += [step for step in steps if isinstance(step, Asked)]
            # A batch is of one queue: what is put comes first, then what is asked, then a look at what is undone.
            batch.sort(key=lambda step: 0 if isinstance(step, PutInvoice | PutWallet) else 2 if step == Look() else 1)
            batches.append(tuple(batch))
            count -= len(batch)
        return Scenario(self.rules, tuple(batches))

    def number(self) -> int:
        return self.one((28, self.random.choice(INVOICES)), (2, PUT_LATE), (1, NEVER_PUT))

    def _next(self) -> Callable[[], Sequence[Step]]:
        return self.one(
            (14, self._put_invoice),
            (4, self._put_wallet),
            (8, self._look),
            (40, self._pay),
            (12, self._again),
            (6, self._otherwise),
            (4, self._twin),
            (9, self._cancel),
            (5, self._correct),
            (2, self._garbled),
        )

    def _put_invoice(self) -> Sequence[Step]:
        return [self.invoice(self.whose(), self.one((9, self.random.choice(INVOICES)), (2, PUT_LATE)))]

    def _put_wallet(self) -> Sequence[Step]:
        return [self.wallet(self.whose(), self.random.choice(WALLETS))]

    def _look(self) -> Sequence[Step]:
        return [Look()]

    def _key(self) -> str:
        return self.random.choice(KEYS)

    def _pay(self) -> Sequence[Step]:
        return [self.payment(self.whose(), self._key())]

    def _garbled(self) -> Sequence[Step]:
        return [Garbled(self.whose(), self._key())]

    def _again(self) -> Sequence[Step]:
        return [self.random.choice(self._asked)] if self._asked else self._pay()

    def _otherwise(self) -> Sequence[Step]:
        """Something else under a key that something came under before."""
        if not self._asked:
            return self._pay()
        first = self.random.choice(self._asked)
        if isinstance(first, Pay) and self.happens(60):
            return [replace(first, paydate=first.paydate - DAY) if self.happens(50) else replace(first, type="another")]
        return [self.payment(first.company, first.key)]

    def _twin(self) -> Sequence[Step]:
        """The same payment under another key."""
        payments = self._payments()
        return [replace(self.random.choice(payments), key=self._key())] if payments else self._pay()

    def _cancel(self) -> Sequence[Step]:
        key = self.one((9, self.random.choice(CANCELLATION_KEYS)), (1, self._key()))
        kind = self.one((14, Pay), (2, Cancel), (4, None))
        earlier = [asked for asked in self._asked if kind is not None and isinstance(asked, kind)]
        if earlier:
            named = self.random.choice(earlier)
            return [Cancel(named.company, key, named.key)]
        return [Cancel(self.whose(), key, self.random.choice(KEYS + CANCELLATION_KEYS))]

    def _correct(self) -> Sequence[Step]:
        """A payment, if not an earlier one, then its cancellation, and the payment under another key."""
        payments = self._payments()
        is_new = not payments or self.happens(40)
        first = self.payment(self.whose(), self._key()) if is_new else self.random.choice(payments)
        cancel = Cancel(first.company, self.random.choice(CANCELLATION_KEYS), first.key)
        again = replace(first, key=self._key())
        return [first, cancel, again] if is_new else [cancel, again]

    def _payments(self) -> list[Pay]:
        return [asked for asked in self._asked if isinstance(asked, Pay)]
