"""What the demo prints: no wider than 100 columns, and as readable in a file as on a terminal."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console, JustifyMethod
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from schemas.codec import encode, parse, read_json
from schemas.invalid import MalformedJsonError
from schemas.money import to_text
from schemas.registration import Cancellation, Defaults
from schemas.sources import SOURCES
from worker.cli.demo.stage import Answer, FiledLetter
from worker.cli.demo.story import CURRENCY, PART_INVOICE, PART_KEY, Payment, named
from worker.cli.terminal import shown
from worker.domain.invoice import Invoice
from worker.domain.verdict import Reason
from worker.settings import PREFIX, Settings

COLUMNS_MAX: Final = 100
_COMPONENTS: Final = {"noticefee": "notice fee", "interest": "interest", "capital": "capital"}


class Show:
    """Prints the demo, part by part."""

    def __init__(self) -> None:
        terminal = Console()
        width = min(terminal.width, COLUMNS_MAX) if terminal.is_terminal else COLUMNS_MAX
        self._console = Console(width=width, highlight=False)

    def title(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, "bold"))

    def line(self, text: str, style: str = "") -> None:
        self._console.print(Text(shown(text), style))

    def invoices(self, invoices: Iterable[Mapping[str, Any]]) -> None:
        table = _table("named by", "invoice", ">capital", ">interest", ">notice fee", "state")
        for invoice in invoices:
            amounts = (str(invoice.get(name, "0.00")) for name in ("capital", "interest", "noticefee"))
            table.add_row(*named(invoice), *amounts, str(invoice.get("state", "OPEN")))
        self._console.print(table)

    def payments(self, payments: Mapping[int, Payment]) -> None:
        table = _table("#", "type", "key", "what it is", ">amount", "invoice")
        for number, payment in payments.items():
            table.add_row(str(number), payment.message_type, payment.key, payment.title, *_said(payment))
        self._console.print(table)

    def outcomes(self, answers: Mapping[int, Answer]) -> None:
        table = _table("#", "status", "reason", "component", ">before", ">focused", ">after", ">unfocused")
        for number, answer in answers.items():
            event = answer.event
            reason = event["reason"]
            is_done = reason in (Reason.BOOKED, Reason.CANCELLED)
            status = Text(f"{event['statusid']} {event['status']}", "green" if is_done else "yellow")
            if Decimal(event["surcharge"]):
                reason += f", surcharge {event['surcharge']}"
            if answer.is_replayed:
                reason += ", replayed"
            table.add_row(str(number), status, reason, *_breakdown(event), event["unfocused"])
        self._console.print(table)

    def response(self, answer: Answer) -> None:
        self._console.print(_response(answer, indent=2))

    def responses(self, answers: Mapping[str, Answer]) -> None:
        """Print the responses of the systems named, compactly."""
        table = _table("system", "response")
        for system, answer in answers.items():
            table.add_row(system, _response(answer, indent=0))
        self._console.print(table)

    def dead_letter(self, number: int, letter: FiledLetter) -> None:
        self.line(
            f"Payment {number} is dead letter {letter.id}: {letter.reason}, {letter.error}. "
            "It is kept byte for byte, for ops to mend, replay or discard."
        )

    def reopened(self, number: int, cancelled: int, invoice: Invoice) -> None:
        owed = ", ".join(
            f"{_COMPONENTS[name]} {to_text(amount, invoice.currency)}"
            for name, amount in invoice.open._asdict().items()
        )
        self.line(
            f"Payment {number} took back by counter-entries what payment {cancelled} had paid: the books have the "
            f"invoice as it was before, {invoice.state}, {owed}."
        )

    def next_steps(self, settings: Settings, company: str, http_port: int) -> None:
        """Print how to reach the servers from another terminal. Their passwords too: without them nobody gets in."""
        self.title("Left running until Ctrl-C. In another terminal:")
        urls = {"AMQP_URL": settings.amqp_url, "DATABASE_URL": settings.database_url}
        lines = [
            f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            *(f"export {PREFIX}{name}={shlex.quote(url.get_secret_value())}" for name, url in urls.items()),
            "",
            f"payment-worker invoices show --company {company} --{PART_INVOICE.kind} {PART_INVOICE.value}",
            f"payment-worker payments show {PART_KEY} --company {company}",
            f"payment-worker outcomes follow --company {company}",
            "payment-worker dead-letters list",
            "payment-worker audit",
            f"curl http://127.0.0.1:{http_port}/metrics",
        ]
        for line in lines:
            # Never folded, so that it can be copied.
            self._console.print(Text(line), soft_wrap=True)


def _table(*columns: str) -> Table:
    """Return a table with the columns named; a name that begins with > is of a column of amounts."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        is_amount = name.startswith(">")
        justify: JustifyMethod = "right" if is_amount else "left"
        table.add_column(name.removeprefix(">"), justify=justify, no_wrap=is_amount, overflow="fold")
    return table


def _breakdown(event: Mapping[str, Any]) -> list[str]:
    """Return component, before, focused and after as cells, a line for each component that is or was open."""
    names = [name for name in _COMPONENTS if Decimal(event[f"{name}before"]) or Decimal(event[f"{name}after"])]
    if not names:
        return ["nothing open", "", "", ""]
    rows = [
        (_COMPONENTS[name], event[f"{name}before"], event[f"focusedto{name}"], event[f"{name}after"]) for name in names
    ]
    return ["\n".join(cells) for cells in zip(*rows, strict=True)]


def _response(answer: Answer, indent: int) -> Text:
    return JSONHighlighter()(Text(msgspec.json.format(encode(answer.event["response"]), indent=indent).decode()))


def _said(payment: Payment) -> tuple[str, str]:
    """Return the amount and the invoice that the message names, as the worker reads it."""
    source = SOURCES[payment.message_type]
    try:
        message = parse(source.model, read_json(payment.body))
    except MalformedJsonError:
        return "", ""
    asked = source.meaning(message, Defaults(CURRENCY, datetime.now(UTC).date()))
    if isinstance(asked, Cancellation):
        return "", ""
    amount = asked.known_amount_minor
    return to_text(amount, CURRENCY) if amount is not None else "all", asked.lines[0].identifiers[0].value
