"""The README says what is so."""

import re
from pathlib import Path

from schemas.outcome import Status
from schemas.sources import SOURCES
from tests.integration.test_statuses import REACHED
from worker.settings import PREFIX, Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_settings_table_is_the_settings() -> None:
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)` \|\s*`?([^`|]*?)`?\s*\|", README, re.MULTILINE))
    fields = Settings.model_fields.items()
    assert rows == {n.upper(): "" if f.is_required() else str(f.default) for n, f in fields}


def test_the_status_table_is_the_statuses() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", README, re.MULTILINE)
    assert rows == [(str(status.value), status.name) for status in Status]


def test_the_table_of_sources_says_what_the_tests_through_the_broker_reach() -> None:
    (header,) = re.findall(r"^\| status \| reason \| (.+) \|$", README, re.MULTILINE)
    sources = [source for name in header.split(" | ") for source in SOURCES if source.startswith(name.strip("`"))]
    assert sources == list(SOURCES)
    rows = re.findall(r"^\| (\d+ [A-Z_]+) \| `(.+)` \| (.+) \|$", README, re.MULTILINE)
    cells = {
        (status, reason, source): cell
        for status, reasons, row in rows
        for reason in reasons.split("`, `")
        for source, cell in zip(sources, row.split(" | "), strict=True)
    }
    assert set(cells.values()) == {"yes", "–"}
    reached = {(f"{status.value} {status.name}", reason, source) for status, reason, source in REACHED}
    assert {place for place, cell in cells.items() if cell == "yes"} == reached


def test_every_path_it_links_to_exists() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
