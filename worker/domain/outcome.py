"""From a verdict to the event that tells of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from pydantic import JsonValue

from schemas.codec import encode
from schemas.money import to_text
from schemas.outcome import Breakdown, Outcome, OutcomeLine
from schemas.registration import Identifier, Line
from worker.domain.allocation import NOTHING, Components
from worker.domain.request import Request
from worker.domain.verdict import LineVerdict, Verdict


def compose(
    request: Request, verdict: Verdict, *, currency: str, event_id: UUID, occurred_at: datetime, payment_id: int
) -> bytes:
    """Return the outcome event's bytes, the source's own response included.

    currency: the company's, in which an invalid request is answered.
    """
    registration = request.registration
    if registration is not None:
        currency = registration.currency
    amount_minor = registration.amount_minor if registration is not None else 0
    outcome: Outcome = {
        "event_id": str(event_id),
        "occurred_at": occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "company": request.company,
        "source": request.source.message_type,
        "idempotency_key": request.key,
        "payment_id": payment_id,
        "statusid": verdict.status.value,
        "status": verdict.status.name,
        "reason": verdict.reason.value,
        "statustext": verdict.text,
        "amount": to_text(amount_minor, currency),
        "currency": currency,
        "paydate": registration.paydate.isoformat() if registration is not None else None,
        "lines": [_told(line, currency) for line in verdict.lines],
        "errors": list(request.errors),
        "response": {},
        **_summed(verdict.lines, currency),
    }
    # Amounts of the response are Decimals until they are encoded, which JsonValue does not know.
    outcome["response"] = cast("dict[str, JsonValue]", request.source.response(outcome, registration))
    return encode(outcome)


def _told(line: LineVerdict, currency: str) -> OutcomeLine:
    return {
        "amount": to_text(line.line.amount_minor, currency),
        **_breakdown(line, line.before, line.allocation, line.unfocused, currency),
        "references": dict(line.line.references),
    }


def _summed(lines: Sequence[LineVerdict], currency: str) -> Breakdown:
    """Return the one invoice's breakdown, or the sum over several; what was open on an invoice counts once."""
    if len(lines) == 1:
        only = lines[0]
        return _breakdown(only, only.before, only.allocation, only.unfocused, currency)
    first_lines = {line.invoice.id: line for line in reversed(lines) if line.invoice is not None}
    before = _total(line.before for line in first_lines.values())
    focused = _total(line.allocation for line in lines)
    last = lines[-1] if len(first_lines) == 1 and all(line.invoice for line in lines) else None
    return _breakdown(last, before, focused, sum(line.unfocused for line in lines), currency)


def _breakdown(
    line: LineVerdict | None, before: Components, focused: Components, unfocused: int, currency: str
) -> Breakdown:
    invoice = line.invoice if line is not None else None
    named = invoice.identifiers if invoice is not None else _as_given(line.line if line is not None else None)
    after = before.minus(focused)
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
        "invoicestate": invoice.booked(line.allocation).state if invoice is not None and line is not None else None,
    }


def _as_given(line: Line | None) -> dict[str, str]:
    identifiers: Iterable[Identifier] = line.identifiers if line is not None else ()
    return {identifier.kind: identifier.value for identifier in identifiers}


def _total(amounts: Iterable[Components]) -> Components:
    total = NOTHING
    for amount in amounts:
        total = total.plus(amount)
    return total
