"""How tests ask for a decision."""

from collections.abc import Sequence

from schemas.outcome import Status
from schemas.registration import Registration
from tests.builders import TODAY, Books, a_policy, a_registration, an_invoice, reasons
from worker.domain.allocation import NOTHING
from worker.domain.decision import decide
from worker.domain.invoice import Invoice
from worker.domain.matching import Mismatch
from worker.domain.policy import Policy
from worker.domain.request import Request
from worker.domain.verdict import Reason, Twin, Verdict
from worker.domain.wallet import Wallet


def judge(
    registration: Registration | None = None,
    matches: Sequence[Invoice | Mismatch] | None = None,
    policy: Policy | None = None,
    *,
    may_await: bool = False,
    is_cancelled: bool = False,
    twins: frozenset[Twin] = frozenset(),
    wallet: Wallet | None = None,
) -> Verdict:
    return decide(
        registration or a_registration(),
        [an_invoice()] if matches is None else matches,
        policy or a_policy(),
        TODAY,
        may_await=may_await,
        is_cancelled=is_cancelled,
        twins=twins,
        wallet=wallet,
    )


def told(verdict: Verdict) -> tuple[Status, Reason]:
    """The status and reason; also that a refusal changes nothing."""
    if not verdict.is_booked:
        assert all(line.allocation == line.written_off == NOTHING for line in verdict.lines)
        assert all(line.after == line.before for line in verdict.lines)
        assert all(line.unfocused == line.amount_minor for line in verdict.lines)
        assert (verdict.surcharge_minor, verdict.wallet_id) == (0, None)
    return verdict.status, verdict.reason


def settle(books: Books, *requests: Request, is_one_batch: bool) -> list[Reason | str]:
    """What each request came to, settled together or one by one."""
    batches = [requests] if is_one_batch else [(request,) for request in requests]
    return [reason for batch in batches for reason in reasons(books.settle(*batch))]
