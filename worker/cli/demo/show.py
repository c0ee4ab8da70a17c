"""What the demo prints: no wider than 100 columns, and as readable in a file as on a terminal."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from schemas.codec import encode, read_json
from schemas.invalid import MalformedJsonError
from schemas.outcome import Status
from worker.cli.demo.stage import Answer, FiledLetter
from worker.cli.demo.story import Payment
from worker.cli.terminal import shown
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
        table = _table("billcode", ">capital", ">interest", ">notice fee", "state")
        for invoice in invoices:
            amounts = (str(invoice.get(name, "0.00")) for name in ("capital", "interest", "noticefee"))
            table.add_row(str(invoice["billcode"]), *amounts, str(invoice.get("state", "OPEN")))
        self._console.print(table)

    def payments(self, payments: Mapping[int, Payment]) -> None:
        table = _table("#", "key", "what it is", ">amount", "billcode", "paydate")
        for number, payment in payments.items():
            table.add_row(str(number), payment.key, payment.title, *_fields(payment.body))
        self._console.print(table)

    def outcomes(self, answers: Mapping[int, Answer]) -> None:
        table = _table("#", "status and reason", "component", ">before", ">focused", ">after", ">unfocused")
        for number, answer in sorted(answers.items()):
            event = answer.event
            is_booked = event["status"] == Status.OHISPAY.name
            verdict = Text().append(f"{event['statusid']} {event['status']}", "green" if is_booked else "yellow")
            verdict.append(f"\n{event['reason']}{', replayed' if answer.is_replayed else ''}", "dim")
            table.add_row(str(number), verdict, *_breakdown(event), event["unfocused"])
        self._console.print(table)

    def response(self, answer: Answer) -> None:
        response = msgspec.json.format(encode(answer.event["response"]), indent=2).decode()
        self._console.print(JSONHighlighter()(Text(response)))

    def dead_letter(self, number: int, letter: FiledLetter) -> None:
        self.line(
            f"Payment {number} is dead letter {letter.id}: {letter.reason}, {letter.error}. "
            "It is kept byte for byte, for ops to mend, replay or discard."
        )

    def next_steps(self, settings: Settings, company: str, http_port: int) -> None:
        """Print how to reach the servers from another terminal. Their passwords too: without them nobody gets in."""
        self.title("Left running until Ctrl-C. In another terminal:")
        urls = {"AMQP_URL": settings.amqp_url, "DATABASE_URL": settings.database_url}
        lines = [
            f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            *(f"export {PREFIX}{name}={shlex.quote(url.get_secret_value())}" for name, url in urls.items()),
            "",
            f"payment-worker invoices show --company {company} --billcode 1002",
            f"payment-worker payments show bank-2 --company {company}",
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
        table.add_column(name.removeprefix(">"), justify="right" if is_amount else "left", no_wrap=is_amount)
    return table


def _breakdown(event: Mapping[str, Any]) -> list[str]:
    """Return component, before, focused and after as cells, a line for each component that has something open."""
    names = [name for name in _COMPONENTS if Decimal(event[f"{name}before"])]
    if not names:
        return ["nothing open", "", "", ""]
    rows = [
        (_COMPONENTS[name], event[f"{name}before"], event[f"focusedto{name}"], event[f"{name}after"]) for name in names
    ]
    return ["\n".join(cells) for cells in zip(*rows, strict=True)]


def _fields(body: bytes) -> tuple[str, str, str]:
    """Return amount, billcode and paydate as the message says them."""
    try:
        value = read_json(body)
    except MalformedJsonError:
        return "", "", ""
    named = value if isinstance(value, dict) else {}
    return str(named.get("amount")), str(named.get("billcode")), str(named.get("paydate"))
