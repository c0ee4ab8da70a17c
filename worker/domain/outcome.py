"""From a verdict to the event that tells of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from typing import NamedTuple, cast
from uuid import UUID

from pydantic import JsonValue

from schemas.codec import encode
from schemas.money import to_text
from schemas.outcome import Breakdown, Cancelled, Outcome, OutcomeLine
from schemas.registration import IdentifierKind, SettledBy
from worker.domain.allocation import NOTHING, Components
from worker.domain.request import Request
from worker.domain.verdict import CancelledPayment, LineVerdict, Verdict, first_lines


class Terms(NamedTuple):
    """What an outcome says of its payment beside the verdict; of an invalid one nothing is known but the currency."""

    currency: str
    paydate: date | None = None
    payment_type: str | None = None
    settled_by: SettledBy | None = None


def compose(
    request: Request,
    verdict: Verdict,
    terms: Terms,
    *,
    event_id: UUID,
    occurred_at: datetime,
    payment_id: int,
    tells_lines: bool = True,
) -> bytes:
    """Return the outcome event's bytes, the source's own response included.

    tells_lines: False leaves out what each line came to, and tells the sums alone.
    """
    currency = terms.currency
    breakdowns = [_of_line(line, currency) for line in verdict.lines]
    outcome: Outcome = {
        "event_id": str(event_id),
        "occurred_at": _in_utc(occurred_at),
        "company": request.company,
        "source": request.source.message_type,
        "idempotency_key": request.key,
        "payment_id": payment_id,
        "statusid": verdict.status.value,
        "status": verdict.status.name,
        "reason": verdict.reason.value,
        "statustext": verdict.text,
        "amount": to_text(verdict.amount_minor, currency),
        "currency": currency,
        "paydate": terms.paydate.isoformat() if terms.paydate is not None else None,
        "settled_by": terms.settled_by,
        "surcharge": to_text(verdict.surcharge_minor, currency),
        "cancels": _cancelled(verdict.cancels),
        "lines": list(map(partial(_told, currency), verdict.lines, breakdowns)) if tells_lines else [],
        "errors": list(request.errors),
        "response": {},
        **(breakdowns[0] if len(breakdowns) == 1 else _summed(verdict.lines, currency)),
    }
    # Amounts of the response are Decimals until they are encoded, which JsonValue does not know.
    outcome["response"] = cast("dict[str, JsonValue]", request.source.response(outcome, request.message))
    return encode(outcome)


@lru_cache(1)  # one batch, one moment
def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cancelled(named: CancelledPayment | None) -> Cancelled | None:
    return {"payment_id": named.payment_id, "idempotency_key": named.key} if named is not None else None


def _told(currency: str, line: LineVerdict, breakdown: Breakdown) -> OutcomeLine:
    return {
        "amount": to_text(line.amount_minor, currency),
        **breakdown,
        "references": dict(line.line.references),
    }


def _of_line(line: LineVerdict, currency: str) -> Breakdown:
    return _breakdown(line, line.before, line.allocation, line.written_off, line.unfocused, currency)


def _summed(lines: Sequence[LineVerdict], currency: str) -> Breakdown:
    """Return the sum over no line or several; what was open on an invoice counts once."""
    firsts = first_lines(lines)
    before = _total(line.before for line in firsts.values())
    focused = _total(line.allocation for line in lines)
    written_off = _total(line.written_off for line in lines)
    last = lines[-1] if len(firsts) == 1 and all(line.invoice for line in lines) else None
    return _breakdown(last, before, focused, written_off, sum(line.unfocused for line in lines), currency)


def _breakdown(
    line: LineVerdict | None,
    before: Components,
    focused: Components,
    written_off: Components,
    unfocused: int,
    currency: str,
) -> Breakdown:
    invoice = line.invoice_after if line is not None else None
    named: Mapping[IdentifierKind, str] = (
        invoice.identifiers if invoice is not None else dict(line.line.identifiers) if line is not None else {}
    )
    after = before.minus(focused).minus(written_off)
    jobid = named.get("jobid")
    return {
        "jobid": int(jobid) if jobid is not None else None,
        "billnum": named.get("billnum"),
        "billcode": named.get("billcode"),
        "capitalbefore": to_text(before.capital, currency),
        "capitalafter": to_text(after.capital, currency),
        "focusedtocapital": to_text(focused.capital, currency),
        "interestbefore": to_text(before.interest, currency),
        "interestafter": to_text(after.interest, currency),
        "focusedtointerest": to_text(focused.interest, currency),
        "noticefeebefore": to_text(before.noticefee, currency),
        "noticefeeafter": to_text(after.noticefee, currency),
        "focusedtonoticefee": to_text(focused.noticefee, currency),
        "unfocused": to_text(unfocused, currency),
        "invoicestate": invoice.state if invoice is not None else None,
        "reference_number": named.get("reference_number"),
        "back_office_code": named.get("back_office_code"),
        "external_id": named.get("external_id"),
        "writtenoffcapital": to_text(written_off.capital, currency),
        "writtenoffinterest": to_text(written_off.interest, currency),
        "writtenoffnoticefee": to_text(written_off.noticefee, currency),
    }


def _total(amounts: Iterable[Components]) -> Components:
    total = NOTHING
    for amount in amounts:
        total = total.plus(amount)
    return total
