"""What is told of a run: tables, pictures, and what is wrong."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import report
from tests.benchmarks.standings import wrongs

SURROUNDINGS = {
    "date": "2026-01-02T03:04:05+00:00",
    "machine": "a processor, 2 cores",
    "servers": "native",
    "versions": {"Python": "3.11", "PostgreSQL": "15"},
}


def row(contestant: str, per_s: float, **changes: Any) -> dict[str, Any]:
    cpu_us = {"program": 100.0, "postgres": 20.0, "rabbitmq": 30.0}
    said = {"contestant": contestant, "messages": 1000, "per_s": per_s, "cpu_us": cpu_us, "peak_mib": 61.0}
    return said | {"lost": 0, "doubled": 0, "wrong": [], "kills": 0} | changes


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rounds = [("payment-worker", 6000.0), ("FastStream", 1000.0), ("payment-worker", 8000.0), ("FastStream", 1000.0)]
    killed = [row("payment-worker", 0, kills=3, doubled=7), row("FastStream", 0, kills=3, doubled=9, lost=2)]
    peers = SURROUNDINGS | {
        "what": {"payment-worker": "one process", "FastStream": "asyncpg"},
        "limits": [],
        "results": [*(row(*each) for each in rounds), *killed],
        "latencies": [
            {"per_s": 3500, "median_ms": 9.04, "p99_ms": 40, "max_ms": 50, "idle_median_ms": 5, "idle_p99_ms": 7}
            | {"cores": "together", "cpu_us": {"program": 200, "postgres": 90, "rabbitmq": 150, "prober": 80}}
        ],
    }
    sample = {"at_s": 60.0, "payments": 500_000, "ready": 5, "outbox_rows": 200, "outbox_dead_tuples": 9}
    sample |= {"dead_tuples": 99, "outbox_mib": 0.5, "resident_mib": 62.0}
    sizes = {"payments": 5_000_000, "invoices": 1_000_000, "changed": [row("w", 900)], "base": [row("w", 1000)]}
    growth = {
        "books": SURROUNDINGS | {"goal": 0.85, "sizes": [sizes]},
        "backlog": SURROUNDINGS
        | {"messages": 1_000_000, "per_s": 4000.0, "peak_mib": 63.0, "wrong": [], "samples": [sample, sample]},
    }
    (tmp_path / report.PEERS_JSON).write_text(json.dumps(peers))
    (tmp_path / report.GROWTH_JSON).write_text(json.dumps(growth))
    return tmp_path


def test_the_report_says_medians_ratios_and_who_loses(results: Path) -> None:
    text = report.markdown(results)

    assert "| FastStream: asyncpg | 1,000 (1,000–1,000) | 7.00 (6.00–8.00) | 100 + 20 + 30 | 61 | 2 / 9 |" in text
    assert "| payment-worker: one process | 7,000 (6,000–8,000) | 1 | 100 + 20 + 30 | 61 | 0 / 7 |" in text
    assert "at half of the round's rate, 3,500 payments/s (3,500–3,500), median | – | 9.0 ms (9.0–9.0) |" in text
    assert "| CPU µs a payment meanwhile | – | 200 + 90 + 150 + 80 (who measures) |" in text
    assert "5,000,000 payments and 1,000,000 invoices in the books, beside empty books | 900 (900–900)" in text
    assert "| 0.90 (0.90–0.90) | 0.85 |" in text
    assert "memory 62 MiB in the first quarter, 62 in the last, at most 63" in text
    assert "2026-01-02, a processor, 2 cores, native servers; Python 3.11, PostgreSQL 15." in text


def test_what_is_wrong_is_told_and_what_a_killed_peer_loses_is_a_result() -> None:
    results = [
        row("FastStream", 0, kills=3, lost=2),
        row("payment-worker", 0, kills=3, doubled=9),
        row("payment-worker", 0, kills=3, lost=1),
        row("payment-worker", 10, doubled=1),
        row("dramatiq", 10, wrong=["payments: 1 instead of 2"]),
    ]

    assert wrongs({"results": results}) == [
        "dramatiq: payments: 1 instead of 2",
        "payment-worker: 1 outcomes lost, 0 told again, 3 kills",
        "payment-worker: 0 outcomes lost, 1 told again, 0 kills",
    ]


def test_the_pictures_are_drawn_and_name_what_they_show(results: Path) -> None:
    report.markdown(results)

    for name in ("peers.svg", "growth-throughput.svg", "growth-memory.svg"):
        assert ET.parse(results / name).getroot().tag.endswith("svg")  # noqa: S314 (our own)
    peers = (results / "peers.svg").read_text()
    assert peers.index("payment-worker") < peers.index("FastStream")
    assert "7,000" in peers


def test_the_report_replaces_what_stands_between_its_markers_and_nothing_else(results: Path) -> None:
    readme = results / "README.md"
    readme.write_text("before\n<!-- benchmark -->\nwhat was there\n<!-- /benchmark -->\nafter\n")

    for _ in range(2):
        report.main(["--results", str(results), "--readme", str(readme)])

    text = readme.read_text()
    assert text.startswith("before\n<!-- benchmark -->\n![")
    assert text.endswith("<!-- /benchmark -->\nafter\n")
    assert "what was there" not in text
    assert text.count("| FastStream") == 1


def test_a_file_without_markers_is_left_alone(results: Path) -> None:
    readme = results / "README.md"
    readme.write_text("before\n")

    with pytest.raises(ValueError, match="lacks"):
        report.main(["--results", str(results), "--readme", str(readme)])
    assert readme.read_text() == "before\n"
