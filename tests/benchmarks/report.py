"""What was measured, as people read it: on the terminal, and for the README as Markdown and pictures.

python -m tests.benchmarks.report [--readme FILE]: from the JSON files in results/, without measuring anew. In the file
it replaces what stands between the two markers; without one it prints that.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import tables
from tests.benchmarks.contestants import WORKER
from tests.benchmarks.figures import RESULTS, read
from tests.benchmarks.growth import report as growth
from tests.benchmarks.standings import LATENCY_TITLES, TITLES, latency_lines, standings, wrongs
from tests.benchmarks.svg import Bar, bars

BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
PEERS_JSON, GROWTH_JSON = "peers.json", "growth.json"
PEERS_PICTURE = "peers.svg"
ROOT = Path(__file__).parent.parent.parent
LONG_TITLES = ("for long", "what was seen")
_COLOURS = (
    "Grey: what people would pick instead. Ochre: limits, which do less: relays without books, books without a broker."
)
_PICTURES = {
    growth.THROUGHPUT_PICTURE: "Payments per second over growing books",
    growth.MEMORY_PICTURE: "Memory over a backlog",
}


def show_comparison(figures: dict[str, Any]) -> None:
    """Print the peers and limits, and what is wrong."""
    tables.show(TITLES, (standing.cells for standing in standings(figures)), said_of(figures))
    tables.show(LATENCY_TITLES, latency_lines(figures))
    tables.warn(wrongs(figures))


def show_growth(figures: dict[str, Any]) -> None:
    """Print the growth steps, and what is wrong."""
    tables.show(growth.TITLES, growth.rows(figures))
    tables.show(LONG_TITLES, growth.long_lines(figures))
    tables.warn(growth.wrongs(figures))


def draw_comparison(figures: dict[str, Any], folder: Path) -> None:
    """Write the picture of peers and limits into the folder."""
    given = [
        Bar(each.name, each.per_s.median, each.per_s.least, each.per_s.most, _kind(each.name, figures["limits"]))
        for each in sorted(standings(figures), key=lambda each: -each.per_s.median)
    ]
    picture = bars("Payments per second, each booked and its outcome confirmed", given, _COLOURS)
    (folder / PEERS_PICTURE).write_text(picture, encoding="utf-8")


def _kind(name: str, limits: Sequence[str]) -> str:
    if name == WORKER.name:
        return "a"
    return "c" if name in limits else "b"


def markdown(folder: Path) -> str:
    """Draw the pictures anew and return what the README shows of the figures in the folder."""
    parts: list[str] = []
    if (folder / PEERS_JSON).exists():
        figures = read(folder / PEERS_JSON)
        draw_comparison(figures, folder)
        parts += _comparison(figures, folder)
    if (folder / GROWTH_JSON).exists():
        steps = read(folder / GROWTH_JSON)
        parts += _growth(steps, growth.draw(steps, folder), folder)
    return "\n".join(parts)


def _comparison(figures: dict[str, Any], folder: Path) -> Iterator[str]:
    yield _picture("Payments per second, beside peers and limits", folder / PEERS_PICTURE)
    yield ""
    yield from tables.markdown(TITLES, (standing.cells for standing in standings(figures)))
    yield from tables.markdown(LATENCY_TITLES, latency_lines(figures))
    yield from (said_of(figures), "")


def _growth(steps: dict[str, Any], pictures: Sequence[str], folder: Path) -> Iterator[str]:
    for name in pictures:
        yield _picture(_PICTURES[name], folder / name)
    yield ""
    yield from tables.markdown(growth.TITLES, growth.rows(steps))
    yield from tables.markdown(LONG_TITLES, growth.long_lines(steps))
    dates = ", ".join(f"{name} {step['date'][:10]}" for name, step in steps.items())
    yield from (f"Measured: {dates}; {said_of(next(iter(steps.values())))}", "")


def said_of(figures: Mapping[str, Any]) -> str:
    """Return machine, versions and date."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return f"{figures['date'][:10]}, {figures['machine']}, {figures['servers']} servers; {versions}."


def _picture(title: str, file: Path) -> str:
    found = file.resolve()
    return f"![{title}]({found.relative_to(ROOT) if found.is_relative_to(ROOT) else file})"


def paste(readme: Path, text: str) -> None:
    """Replace what stands between the markers. Raises ValueError where they are missing."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} lacks {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the JSON files")
    parser.add_argument("--readme", type=Path, help="paste the text between its markers")
    given = parser.parse_args(arguments)
    text = markdown(given.results)
    if given.readme is None:
        print(text)
    else:
        paste(given.readme, text)


if __name__ == "__main__":
    main(sys.argv[1:])
