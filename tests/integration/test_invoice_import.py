"""`payment-worker invoices import`: a whole file or nothing, by the rules that messages go by."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.invoice import InvoicePut
from tests.integration.command_line import CommandLine
from tests.site import Site
from worker.books.companies import read_policies
from worker.books.session import Session
from worker.books.statements import put_invoices

Fields = Mapping[str, Any]
CSV = "billcode,jobid,capital,interest,noticefee,currency,due_date,account_id,account_name,state,version\n"


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


def a_file(folder: Path, rows: Sequence[Fields], name: str = "invoices.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def imported(line: CommandLine, path: Path, company: str = "acme") -> dict[str, int]:
    result: dict[str, int] = (await line.succeed("invoices", "import", path, "--company", company, "--json")).json
    return result


async def refused(line: CommandLine, path: Path) -> dict[int, str]:
    """Import a file that is refused; return what is said of its lines."""
    result = await line.run("invoices", "import", path, "--company", "acme")
    assert result.status == 1, result
    assert "nothing was imported" in result.error
    told = [text.partition(": ") for text in result.stderr.splitlines() if text.startswith("line ")]
    return {int(where.removeprefix("line ")): why for where, _, why in told}


async def invoices(site: Site, company: str = "acme") -> list[dict[str, Any]]:
    rows = await site.database.fetch("SELECT * FROM invoices WHERE company = $1 ORDER BY id", company)
    return [{name: value for name, value in row.items() if name not in ("id", "company")} for row in rows]


async def book(site: Site, billcode: str, capital: int) -> None:
    """Let the invoice be as if a payment had put so much on its capital."""
    await site.database.execute("UPDATE invoices SET capital_allocated = $2 WHERE billcode = $1", billcode, capital)


async def test_twenty_thousand_invoices_are_created_then_updated(site: Site, line: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "invoices.csv"
    path.write_text(CSV + "".join(f"B{i},{i},{i}.5,0,5,,2024-02-29,A1,Some Name,,\n" for i in range(20_000)))
    assert await imported(line, path) == {"created": 20_000, "updated": 0, "ignored": 0, "rows": 20_000}
    assert await imported(line, path) == {"created": 0, "updated": 20_000, "ignored": 0, "rows": 20_000}
    sums = "SELECT count(*), min(version), max(version), sum(capital), sum(noticefee) FROM invoices"
    capital = sum(i * 100 + 50 for i in range(20_000))
    assert [tuple(row) for row in await site.database.fetch(sums)] == [(20_000, 2, 2, capital, 20_000 * 500)]


async def test_csv_and_json_lines_say_the_same(site: Site, line: CommandLine, tmp_path: Path) -> None:
    row = {
        "billcode": 'B"1, x',
        "jobid": 7,
        "capital": "710.00",
        "interest": "1.5",
        "noticefee": "5",
        "currency": "SEK",
        "due_date": "2024-02-29",
        "account": {"id": "A1", "name": "Ä; b"},
        "state": "CLOSED",
        "version": 3,
    }
    semicolons = tmp_path / "invoices.txt"
    semicolons.write_bytes(
        b"\xef\xbb\xbf"
        + CSV.replace(",", ";").encode()
        + '"B""1, x";7;710.00;1.5;5;SEK;2024-02-29;A1;"Ä; b";CLOSED;3\r\n\r\n'.encode()
    )
    await imported(line, a_file(tmp_path, [row]), "acme")
    await imported(line, semicolons, "other")
    (from_json,), (from_csv,) = await invoices(site, "acme"), await invoices(site, "other")
    assert from_json == from_csv
    assert from_csv["account_name"] == "Ä; b"
    assert (from_csv["capital"], from_csv["interest"], from_csv["version"]) == (71000, 150, 3)


START: Sequence[Fields] = (
    {
        "billcode": "known",
        "jobid": 1,
        "capital": "100.00",
        "noticefee": 5,
        "version": 5,
        "account": {"id": "A", "name": "N"},
    },
    {"billcode": "booked", "billnum": "R-booked", "capital": "100.00", "version": 5},
    {"billcode": "yen", "capital": "100", "currency": "JPY", "version": 5},
)


@pytest.mark.parametrize(
    "row",
    [
        {"billcode": "new", "capital": "0.01", "version": 1},
        {"billcode": "new", "capital": 1e2, "currency": "KWD", "interest": "0.001", "version": 0},
        {"external_id": "x", "back_office_code": "y", "reference_number": "z", "capital": 1, "version": 1},
        {"billcode": "known", "capital": "1", "version": 6},
        {"billcode": "known", "capital": "1", "version": 5},
        {"billcode": "known", "capital": "1", "version": 4},
        {"billcode": "known", "capital": "1.001", "version": 4},
        {"jobid": "1", "billnum": "R1", "capital": "1", "version": 6, "due_date": "2024-02-29", "state": "CANCELLED"},
        {"jobid": 1, "billcode": "renamed", "capital": "1", "version": 6, "account": {"number": "7", "name": "M"}},
        {"jobid": 1, "billcode": "booked", "capital": "1", "version": 6},
        {"jobid": 1, "billcode": "booked", "capital": "1", "version": 1},
        {"billcode": "booked", "capital": "50.00", "version": 6},
        {"billcode": "booked", "capital": "49.99", "version": 6},
        {"billcode": "booked", "capital": "49.99", "version": 5},
        {"billcode": "booked", "capital": "50.00", "currency": "EUR", "version": 6},
        {"billcode": "booked", "capital": "100.00", "currency": "SEK", "version": 6},
        {"billcode": "known", "capital": "100.000", "currency": "KWD", "version": 6},
        {"billcode": "yen", "capital": "100", "version": 6},
        {"billcode": "yen", "capital": "100.0", "version": 6},
        {"billcode": "new", "capital": "0.001", "version": 1},
        {"billcode": "new", "capital": "1.000", "version": 1},
        {"billcode": "new", "capital": 0, "interest": 0.001, "version": 1},
        {"billcode": "new", "capital": 0, "noticefee": 0.001, "version": 1},
        {"billcode": "new", "capital": "9999999999999.99", "version": 2**63 - 1},
    ],
    ids=json.dumps,
)
async def test_a_file_does_what_a_message_does(site: Site, line: CommandLine, tmp_path: Path, row: Fields) -> None:
    async with Session(site.database_url, "test") as session:
        policies = await read_policies(site.database)
        for company in ("acme", "other"):
            puts = [(policies[company], InvoicePut.model_validate(start)) for start in START]
            assert await put_invoices(session, puts, datetime.now(UTC)) == {}
        await book(site, "booked", 5000)
        refusals = await put_invoices(
            session,
            [(policies["other"], InvoicePut.model_validate(json.loads(json.dumps(row), parse_float=str)))],
            datetime.now(UTC),
        )
    path = a_file(tmp_path, [row])
    if refusals:
        assert await refused(line, path) == {1: refusals[0].text.removeprefix("message ")}
    else:
        await imported(line, path)
    assert await invoices(site, "acme") == await invoices(site, "other")


async def test_a_row_without_version_is_the_invoices_next(site: Site, line: CommandLine, tmp_path: Path) -> None:
    first = a_file(tmp_path, [{"jobid": 1, "capital": 1, "version": 41}, {"jobid": 2, "capital": 1}])
    await imported(line, first)
    second = a_file(tmp_path, [{"jobid": 1, "capital": 2, "version": None}, {"jobid": 2, "capital": 2, "version": ""}])
    assert await imported(line, second) == {"created": 0, "updated": 2, "ignored": 0, "rows": 2}
    assert [(row["version"], row["capital"]) for row in await invoices(site)] == [(42, 200), (2, 200)]


async def test_after_the_highest_version_there_is_no_next(line: CommandLine, tmp_path: Path) -> None:
    await imported(line, a_file(tmp_path, [{"jobid": 1, "capital": 1, "version": 2**63 - 1}]))
    again = a_file(tmp_path, [{"jobid": 1, "capital": 2}])
    assert await imported(line, again) == {"created": 0, "updated": 0, "ignored": 1, "rows": 1}


async def test_every_wrong_line_is_counted_and_the_first_are_told(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "invoices.jsonl"
    good = [json.dumps({"jobid": i, "capital": 1}).encode() for i in range(3)]
    hostile = [
        b"{",
        b"[]",
        b'{"capital": 1}',
        b'{"jobid": 9, "capital": NaN}',
        b'{"jobid": 9, "capital": 1e400}',
        b'{"jobid": 9, "capital": true}',
        b'{"jobid": 9, "capital": 0.001}',
        b'{"jobid": 9, "capital": "99999999999999999999"}',
        b'{"jobid": 9, "capital": 1, "capital": 2}',
        b'{"billcode": "a\\u0000b", "capital": 1}',
        b'{"billcode": "\\ud800", "capital": 1}',
        b'{"billcode": "\xff", "capital": 1}',
        b'{"jobid": 9, "capital": 1, "due_date": "2024-02-30"}',
        b'{"jobid": 9, "capital": 1, "version": 99999999999999999999}',
        b"[" * 100_000,
        b'{"billcode": "' + b"x" * 70_000 + b'", "capital": 1}',
    ]
    path.write_bytes(b"\n".join([good[0], *hostile, good[1], b"", *[b"x"] * 10, good[2], good[0]]))
    told = await refused(line, path)
    result = await line.run("invoices", "import", path, "--company", "acme")
    assert list(told) == [*range(2, 18), 20, 21, 22, 23]
    assert "and 7 more" in result.stderr
    assert "27 wrong rows" in result.error
    assert await invoices(site) == []


async def test_what_only_the_books_can_tell_stands_beside_what_a_line_itself_says(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    await imported(line, a_file(tmp_path, [{"jobid": 1, "capital": 10}]))
    await site.database.execute("UPDATE invoices SET capital_allocated = 500")
    before = await invoices(site)
    told = await refused(line, a_file(tmp_path, [{"jobid": 2, "capital": 1}, {"jobid": 1, "capital": 1}, {"jobid": 3}]))
    assert told == {
        2: "capital is less than what is already allocated: cancel payments first",
        3: "capital Field required",
    }
    assert await invoices(site) == before


async def test_an_invoice_named_twice_is_wrong_under_whichever_name(line: CommandLine, tmp_path: Path) -> None:
    await imported(line, a_file(tmp_path, [{"jobid": 1, "billcode": "B1", "billnum": "R1", "capital": 1}]))
    rows: list[Fields] = [
        {"jobid": 5, "billcode": "B5", "capital": 1},
        {"jobid": 1, "capital": 2},
        {"billcode": "B5", "capital": 1},
        {"billnum": "R1", "capital": 3},
        {"jobid": 5, "capital": 1, "version": 9},
    ]
    assert await refused(line, a_file(tmp_path, rows)) == {
        3: "names the same invoice as line 1",
        4: "names the same invoice as line 2",
        5: "names the same invoice as line 1",
    }


async def test_another_companys_invoice_of_the_same_name_is_left_alone(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    path = a_file(tmp_path, [{"jobid": 1, "capital": 1}])
    await imported(line, path, "other")
    before = await invoices(site, "other")
    assert (await imported(line, path, "acme"))["created"] == 1
    assert await invoices(site, "other") == before


@pytest.mark.parametrize(
    "named", [{"billcode": "awaited"}, {"billcode": "x", "jobid": 77}, {"billcode": "x", "billnum": "R 1"}]
)
async def test_a_payment_that_awaits_one_of_the_invoices_is_looked_at_now(
    site: Site, line: CommandLine, tmp_path: Path, named: Fields
) -> None:
    await site.policy(await_invoice_s=3600)
    async with site.worker():
        await site.pay(named, key="awaiting")
        await site.pay({"billcode": "another"}, key="still awaiting")
        assert [event.body["reason"] for event in await site.events(2)] == ["invoice_awaited"] * 2
    await site.database.execute("UPDATE pending SET wake_at = now() + interval '1 hour'")
    names = {name: value for name, value in named.items() if value != "x"}
    await imported(line, a_file(tmp_path, [{**names, "capital": "710.00"}]))
    woken = "SELECT p.idempotency_key FROM pending d JOIN payments p ON p.id = d.payment_id WHERE d.wake_at <= now()"
    assert [row["idempotency_key"] for row in await site.database.fetch(woken)] == ["awaiting"]
    async with site.worker():
        assert (await site.next_event()).body["statusid"] == 6


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has no header line"),
        (b"billcode,captal\nB1,5\n", "a column capital"),
        (b"billcode,capital,billcode\nB1,5,B1\n", "the column billcode twice"),
        (b"\xff\xfe{\x00", "a column capital"),
    ],
)
async def test_a_csv_without_a_header_that_makes_sense_is_refused(
    line: CommandLine, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "invoices.csv"
    path.write_bytes(content)
    assert told in await line.fail("invoices", "import", path, "--company", "acme")


async def test_wrong_rows_of_a_csv_are_told_by_the_line_that_they_begin_on(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "invoices.csv"
    path.write_bytes(
        b'billcode,capital\n"two\nlines",1.00\nB4\nB5,1,2\nB6,"1,00"\nB\xff7,1\nB\x008,1\nB9,"1" x\nB10,1\nB11,"1\n'
    )
    assert list(await refused(line, path)) == [4, 5, 6, 7, 8, 9, 11]
    assert await invoices(site) == []


async def test_columns_that_are_not_known_are_left_out_and_named(site: Site, line: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "invoices.csv"
    path.write_text("billcode,capital,intrest\nB1,1,5\n")
    result = await line.succeed("invoices", "import", path, "--company", "acme")
    assert "intrest" in result.stderr
    assert [row["interest"] for row in await invoices(site)] == [0]


async def test_an_imported_invoice_is_shown_with_what_is_open_on_it(
    site: Site, line: CommandLine, tmp_path: Path
) -> None:
    row = {"jobid": 1, "billcode": "B1", "capital": "10.00", "interest": 1, "noticefee": "5", "due_date": "2024-02-29"}
    await imported(line, a_file(tmp_path, [row]))
    await book(site, "B1", 250)
    shown = await line.succeed("invoices", "show", "--company", "acme", "--billcode", "B1", "--json")
    assert shown.json == {
        "billcode": "B1",
        "jobid": 1,
        "billnum": None,
        "reference_number": None,
        "back_office_code": None,
        "external_id": None,
        "account": {"id": None, "number": None, "name": None},
        "currency": "EUR",
        "state": "OPEN",
        "capital": "7.50",
        "interest": "1.00",
        "noticefee": "5.00",
        "stated": {"capital": "10.00", "interest": "1.00", "noticefee": "5.00"},
        "allocated": {"capital": "2.50", "interest": "0.00", "noticefee": "0.00"},
        "version": 1,
        "due_date": "2024-02-29",
    }
    assert (await line.succeed("invoices", "show", "--company", "acme", "--jobid", "1", "--json")).json == shown.json


async def test_a_large_amount_of_a_currency_with_four_digits_is_refused(line: CommandLine, tmp_path: Path) -> None:
    rows = [{"jobid": 1, "capital": "999999999999999", "currency": "UYW"}]
    assert await refused(line, a_file(tmp_path, rows)) == {1: "has an amount too large for UYW"}
