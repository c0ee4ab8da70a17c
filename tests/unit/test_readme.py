"""The README says what is so."""

import re
from pathlib import Path

from schemas.outcome import Status
from worker.settings import PREFIX, Settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_settings_table_is_the_settings() -> None:
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)` \|\s*`?([^`|]*?)`?\s*\|", README, re.MULTILINE))
    fields = Settings.model_fields.items()
    assert rows == {n.upper(): "" if f.is_required() else str(f.default) for n, f in fields}


def test_the_status_table_is_the_statuses() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", README, re.MULTILINE)
    assert rows == [(str(status.value), status.name) for status in Status]


def test_every_path_it_links_to_exists() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
