"""What a batch came to, as it is to be written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from worker.domain.policy import Policy
from worker.domain.settlement import Settled, Settlement
from worker.domain.view import Held, Moment, PaymentName


@dataclass(frozen=True)
class Batch:
    """The settlements of a batch, and what the books held before it and hold after it."""

    settlements: Sequence[Settlement]
    held_before: Mapping[PaymentName, Held]
    held_after: Mapping[PaymentName, Held]
    policies: Mapping[str, Policy]
    moment: Moment

    @cached_property
    def settled(self) -> list[Settled]:
        return [item for item in self.settlements if isinstance(item, Settled)]

    @cached_property
    def final(self) -> dict[PaymentName, Settled]:
        """A key can come more than once in a batch; its payment is what the last of its verdicts says."""
        return {item.request.identity: item for item in self.settled if item.changes_payment}

    @cached_property
    def moved(self) -> list[Settled]:
        """The payments that were booked, and the cancellations that were done."""
        return [item for item in self.final.values() if item.verdict.moves_money]

    @cached_property
    def newly_cancelled(self) -> list[PaymentName]:
        """The payments that will be booked no more, or are booked no more, since this batch."""
        held = self.held_after
        return [name for name in held if held[name].is_cancelled and not self.held_before[name].is_cancelled]

    @cached_property
    def judged_anew(self) -> dict[PaymentName, Settled]:
        """The payments that the books hold with another verdict."""
        return {name: item for name, item in self.final.items() if self.held_before[name].status is not None}

    @cached_property
    def marked(self) -> list[PaymentName]:
        """The payments of earlier batches that its cancellations mark."""
        return [name for name in self._cancelled_apart if self.held_before[name].status is not None]

    @cached_property
    def awaited(self) -> list[PaymentName]:
        """The payments that its cancellations came before."""
        return [name for name in self._cancelled_apart if self.held_before[name].status is None]

    @cached_property
    def _cancelled_apart(self) -> list[PaymentName]:
        return [name for name in self.newly_cancelled if name not in self.final]
