"""What the tests say in each source's words: one payment of one invoice; and how the source is to be answered.

The answers are written down from what the sources publish, not from the code that gives them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ROPO = "ropo.payment.v1"
IVVY = "ivvy.add-payment.v1"
INVISIBLE_COLLECTOR = "invisible-collector.payment.v1"
CRM_COM = "crm-com.pay-invoice.v1"
CANONICAL = "payment.register.v1"
CANCEL = "payment.cancel.v1"

Body = dict[str, Any]

PAYMENT_TYPE = "Cash"
"""The type of each payment, as iVvy's payment method 6 is called."""


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment of the invoice with that number; its date and amount may be anything, to be refused too."""

    key: str
    number: int
    amount: str = "100.00"
    paydate: str = "2017-10-10"


def invoice_names(number: int) -> Body:
    """Return a name of each kind that a source goes by."""
    return {"jobid": number, "billcode": f"B{number}", "billnum": f"N{number}"}


def _ropo(said: Payment) -> Body:
    return {"amount": said.amount, "billcode": f"B{said.number}", "paydate": said.paydate, "type": PAYMENT_TYPE}


def _ivvy(said: Payment) -> Body:
    return {"invoiceId": str(said.number), "paidDate": said.paydate, "amountPaid": said.amount, "paymentMethod": 6}


def _invisible_collector(said: Payment) -> Body:
    return {
        "number": said.key,
        "type": PAYMENT_TYPE,
        "date": said.paydate,
        "currency": "EUR",
        "lines": [{"number": f"N{said.number}", "amount": said.amount}],
    }


def _crm_com(said: Payment) -> Body:
    """CRM.COM names no amount: it pays all that is open."""
    return {
        "type_identifier": {"name": PAYMENT_TYPE},
        "payment_method_identifier": {"name": "Bank transfer"},
        "invoice_identifier": {"number": f"N{said.number}"},
        "received_on": said.paydate,
    }


def _canonical(said: Payment) -> Body:
    line = {"billcode": f"B{said.number}", "amount": said.amount}
    return {"paydate": said.paydate, "type": PAYMENT_TYPE, "lines": [line]}


PAYMENTS: Mapping[str, Callable[[Payment], Body]] = {
    ROPO: _ropo,
    IVVY: _ivvy,
    INVISIBLE_COLLECTOR: _invisible_collector,
    CRM_COM: _crm_com,
    CANONICAL: _canonical,
}
"""Message type → the body that says a payment. The sources that pay."""


def answer(outcome: Body, sent: Body) -> Body:
    """Return what `response` has to be: by the outcome's source, to the body that was sent."""
    return _ANSWERS[outcome["source"]](outcome, sent)


def _told(outcome: Body) -> Body:
    return {name: outcome[name] for name in ("statusid", "status", "reason", "statustext")}


def _to_ropo(outcome: Body, _: Body) -> Body:
    parts = ("capital", "interest", "noticefee")
    amounts = ["amount", "unfocused", *(f"{part}{when}" for part in parts for when in ("before", "after"))]
    amounts += [f"focusedto{part}" for part in parts]
    # What is booked in these tests always pays something of all three.
    text = "Capital, Interest, Notice fee kirjattu" if outcome["statusid"] == 6 else outcome["statustext"]
    named = {name: outcome[name] for name in ("jobid", "billnum", "billcode", "paydate", "statusid")}
    return {**named, **{name: float(outcome[name]) for name in amounts}, "statustext": text}


_IVVY_CODES = {
    "gateway_charge_unsupported": 24237,
    "invoice_not_found": 24238,
    "invoice_of_another_company": 24238,
    "paydate_in_future": 24240,
    "invoice_awaited": 24240,
}


def _to_ivvy(outcome: Body, _: Body) -> Body:
    if outcome["statusid"] == 6:
        return {"Success": True, "Id": outcome["payment_id"]}
    code = _IVVY_CODES.get(outcome["reason"], 24239)
    return {"Success": False, "ErrorCode": code, "Message": outcome["statustext"]}


def _to_invisible_collector(outcome: Body, sent: Body) -> Body:
    if outcome["statusid"] == 6 or sent.get("status") == "CANCELLED":
        lines = [line | {"amount": float(line["amount"])} for line in sent["lines"]]
        return {"status": "FINAL"} | sent | {"lines": lines}
    if outcome["reason"] == "idempotency_conflict":
        return {"code": 409, "message": outcome["statustext"], "gid": str(outcome["payment_id"])}
    is_missing = outcome["reason"] in {"invoice_not_found", "invoice_of_another_company", "invoice_awaited"}
    return {"code": 404 if is_missing else 422, "message": outcome["statustext"]}


_CRM_COM_STATES = {0: "DRAFT", 6: "POSTED"}


def _to_crm_com(outcome: Body, _: Body) -> Body:
    if outcome["statusid"] == 6:
        status = {"code": "OK", "description": "", "message": ""}
    else:
        text = outcome["statustext"]
        status = {"code": outcome["reason"].upper(), "description": text, "message": text}
    is_cancelled = outcome["reason"] == "payment_cancelled"
    state = "CANCELLED" if is_cancelled else _CRM_COM_STATES.get(outcome["statusid"])
    if state is None:
        return {"status": status, "data": {}}
    issued_on = outcome["occurred_at"][: len("2017-10-10T12:00:00")]
    data = dict.fromkeys(("id", "number", "reference_number"), str(outcome["payment_id"])) | {
        "life_cycle_state": state,
        "issued_on": issued_on,
        "posted_on": issued_on if state == "POSTED" else None,
        "payment_amount": float(outcome["amount"]),
        "processed_by_payment_gateway": None,
        "payment_gateway_reference_number": None,
        "currency_rate_period": None,
    }
    return {"status": status, "data": data}


def _to_canonical(outcome: Body, _: Body) -> Body:
    focused = ("amount", "focusedtocapital", "focusedtointerest", "focusedtonoticefee", "unfocused")
    lines = [
        {name: line[name] for name in ("jobid", "billnum", "billcode", "invoicestate")}
        | {name: float(line[name]) for name in focused}
        for line in outcome["lines"]
    ]
    amounts = {name: float(outcome[name]) for name in ("amount", "unfocused")}
    named = {name: outcome[name] for name in ("payment_id", "currency", "settled_by")}
    return _told(outcome) | named | amounts | {"lines": lines}


def _to_cancel(outcome: Body, sent: Body) -> Body:
    named = outcome["cancels"] or {"payment_id": None}
    return _told(outcome) | {"payment": sent["payment"] or None, "payment_id": named["payment_id"]}


_ANSWERS: Mapping[str, Callable[[Body, Body], Body]] = {
    ROPO: _to_ropo,
    IVVY: _to_ivvy,
    INVISIBLE_COLLECTOR: _to_invisible_collector,
    CRM_COM: _to_crm_com,
    CANONICAL: _to_canonical,
    CANCEL: _to_cancel,
}
