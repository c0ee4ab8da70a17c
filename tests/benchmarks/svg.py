"""Two kinds of picture as SVG, for a README in light or dark: bars, one below the other, and lines over one axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 200, 130, 50, 60
BAR, GAP = 24, 12
LINES_HEIGHT = 320
TICKS = 5
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .faint { fill: #6e7781; font-size: 12px }
.end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #d0d7de } .whisker { stroke: #24292f; stroke-width: 1.5 }
.a { fill: #0969da; stroke: #0969da } .b { fill: #8c959f; stroke: #8c959f } .c { fill: #bf8700; stroke: #bf8700 }
polyline { fill: none !important; stroke-width: 2.5 } rect, circle { stroke: none !important }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .whisker { stroke: #e6edf3 }
  .a { fill: #4493f8; stroke: #4493f8 }
}
"""


@dataclass(frozen=True)
class Bar:
    """A bar as long as its amount; kind a, b or c is its colour."""

    name: str
    amount: float
    least: float
    most: float
    kind: str = "b"


@dataclass(frozen=True)
class Line:
    """Points (x, y), x rising."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str = "a"


def bars(title: str, given: Sequence[Bar], note: str = "") -> str:
    """Return a picture of the amounts, a whisker from the least to the most, and a note below them."""
    scale = (WIDTH - LEFT - RIGHT) / max(bar.most for bar in given)
    parts = [_text(10, 26, title, "title")]
    for number, bar in enumerate(given):
        y = TOP + number * (BAR + GAP)
        middle = y + BAR / 2
        parts += [
            _text(LEFT - 10, middle + 4, bar.name, "end"),
            f'<rect class="{bar.kind}" x="{LEFT}" y="{y}" width="{bar.amount * scale:.1f}" height="{BAR}"/>',
            _line(LEFT + bar.least * scale, middle, LEFT + bar.most * scale, middle, "whisker"),
            _text(LEFT + bar.most * scale + 8, middle + 4, f"{bar.amount:,.0f}"),
        ]
    bottom = TOP + len(given) * (BAR + GAP)
    return _picture(title, bottom + 30, [*parts, _text(LEFT, bottom + 12, note, "faint")])


def lines(title: str, x_title: str, given: Sequence[Line]) -> str:
    """Return a picture of the lines; both axes begin at nought."""
    left = 80
    width, height = WIDTH - left - RIGHT, LINES_HEIGHT - TOP - BOTTOM
    points = [point for line in given for point in line.points]
    x_ticks, y_ticks = (list(_ticks(max(point[axis] for point in points))) for axis in (0, 1))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / x_ticks[-1] * width, TOP + height - y / y_ticks[-1] * height

    parts = [_text(10, 26, title, "title"), _text(left + width / 2, LINES_HEIGHT - 14, x_title, "middle faint")]
    for y in y_ticks:
        _, at = place(0, y)
        parts += [_line(left, at, left + width, at, "grid"), _text(left - 8, at + 4, f"{y:,.10g}", "end faint")]
    parts += [_text(place(x, 0)[0], TOP + height + 20, f"{x:,.10g}", "middle faint") for x in x_ticks]
    for line in given:
        placed = [place(*point) for point in line.points]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="{line.kind}" points="{corners}"/>')
        if len(placed) <= 2 * TICKS:
            parts += [f'<circle class="{line.kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in placed]
        parts.append(_text(placed[-1][0] + 8, placed[-1][1] + 4, line.name))
    return _picture(title, LINES_HEIGHT, parts)


def _ticks(most: float) -> Iterator[float]:
    """Yield nought and some round numbers, the last not below the most."""
    most = most or 1.0
    unit = 10.0 ** math.floor(math.log10(most / TICKS))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor * TICKS >= most)
    for number in range(math.ceil(round(most / step, 9)) + 1):
        yield number * step


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _picture(title: str, height: float, parts: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    return "\n".join([opening, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])
