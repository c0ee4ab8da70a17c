"""`payment-worker companies`: what is put is what is listed, and what the worker goes by."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.integration.command_line import CommandLine
from tests.site import Site

DEFAULTS: Final[Mapping[str, object]] = {
    "company": "new",
    "currency": "EUR",
    "allocation": "noticefee-interest-capital",
    "allocation_for": {},
    "overpayment": "keep",
    "treat": {},
    "books_closed_until": None,
    "duplicates": "off",
    "await_invoice_s": 0,
    "hide_foreign": False,
    "identifiers": "first",
    "distribution": "oldest-due",
    "tolerance_amount": None,
    "tolerance_percent": None,
    "gateways": [],
}


@pytest.fixture
def line(site: Site) -> CommandLine:
    return CommandLine(site.amqp_url, site.database_url)


async def test_a_company_has_the_defaults_where_nothing_is_said(line: CommandLine) -> None:
    put = await line.succeed("companies", "put", "new", "--currency", "EUR", "--json")
    assert put.json == DEFAULTS


async def test_every_rule_can_be_put_and_is_listed(line: CommandLine) -> None:
    put = await line.succeed(
        *("companies", "put", "new", "--currency", "KWD", "--allocation", "pro-rata"),
        *("--allocation-for", "a=b=capital-interest-noticefee", "--allocation-for", "x=pro-rata"),
        *("--overpayment", "reject", "--treat", "ropo=ropo", "--treat", "back=ropo_refund", "--treat", "mute=ignore"),
        *("--books-closed-until", "2024-02-29", "--duplicates", "flag", "--await-invoice", "60"),
        *("--hide-foreign", "--identifiers", "all", "--distribution", "highest-amount"),
        *("--tolerance-amount", "0.5", "--tolerance-percent", "2.50", "--gateway", "Stripe", "--gateway", "card"),
        "--json",
    )
    assert put.json == {
        "company": "new",
        "currency": "KWD",
        "allocation": "pro-rata",
        "allocation_for": {"a=b": "capital-interest-noticefee", "x": "pro-rata"},
        "overpayment": "reject",
        "treat": {"ropo": "ropo", "back": "ropo_refund", "mute": "ignore"},
        "books_closed_until": "2024-02-29",
        "duplicates": "flag",
        "await_invoice_s": 60,
        "hide_foreign": True,
        "identifiers": "all",
        "distribution": "highest-amount",
        "tolerance_amount": "0.500",
        "tolerance_percent": "2.50",
        "gateways": ["Stripe", "card"],
    }
    listed = await line.succeed("companies", "list", "--json")
    assert put.json in listed.json
    assert [record["company"] for record in listed.json] == ["acme", "new", "other"]


async def test_putting_again_replaces_the_whole_policy(line: CommandLine) -> None:
    await line.succeed("companies", "put", "new", "--currency", "SEK", "--overpayment", "reject", "--hide-foreign")
    await line.succeed("companies", "put", "new", "--currency", "EUR")
    listed = (await line.succeed("companies", "list", "--json")).json
    assert next(record for record in listed if record["company"] == "new") == DEFAULTS


async def test_a_list_for_people_names_each_company(line: CommandLine) -> None:
    assert [row.split()[0] for row in (await line.succeed("companies", "list")).stdout.splitlines()] == [
        "company",
        "acme",
        "other",
    ]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--tolerance-amount", "0.001", "has more than the 2 decimal digits of EUR"),
        ("--tolerance-amount", "-1", "must not be negative"),
        ("--tolerance-amount", "NaN", "must be a decimal number"),
        ("--tolerance-percent", "101", "must not be more than 100"),
        ("--distribution", "newest", "is not one of"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_wrong_use(line: CommandLine, option: str, value: str, why: str) -> None:
    result = await line.run("companies", "put", "new", "--currency", "EUR", option, value)
    assert (result.status, why in result.error) == (2, True), result.stderr
    assert "new" not in (await line.succeed("companies", "list", "--json")).stdout
