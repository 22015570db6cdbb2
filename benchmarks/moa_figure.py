"""The picture of docs/moa.md: numbers found by length and density, an SVG made from records.

The one thing to know: like the README's, it is plain text and follows light and dark by itself.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from benchmarks.figure import STYLE
from benchmarks.moa_tables import KINDS, TASKS, Record, load

PICTURE = Path(__file__).parent.parent / "docs" / "moa.svg"
COLOURS = {"dense": "#8c959f", "MoA": "#0a7ea4", "uniform": "#c4551d", "split": "#7a5fb5"}
DENSITIES = ("0.75", "0.5", "0.25")
ROWS = ("needle_text", "multikey")
WIDTH, PANEL, TALL, TOP, LEFT = 760, 236, 190, 62, 44  # of the picture, a panel, and its plot


def picture() -> str:
    """Numbers found by length, a row for each task and a panel for each density, as SVG text."""
    document = load("moa-quality.json")
    height = TOP + len(ROWS) * TALL + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Numbers found in a novel, by length, at three densities">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="24">Numbers found, by tokens read</text>',
    ]
    if document is None:
        return "\n".join([*lines, '<text x="16" y="60">not measured yet</text>', "</svg>", ""])
    at = 392
    for kind, colour in COLOURS.items():
        title = KINDS.get(kind, "dense")
        lines.append(
            f'<rect x="{at}" y="14" width="14" height="4" fill="{colour}"/>'
            f'<text class="note" x="{at + 20}" y="20">{escape(title)}</text>'
        )
        at += 32 + 6.9 * len(title)
    for row, task in enumerate(ROWS):
        for place, density in enumerate(DENSITIES):
            x, y = 8 + place * (PANEL + 12), TOP + row * TALL
            lines += _panel(document, task, density, x, y)
    return "\n".join([*lines, "</svg>", ""])


def _panel(document: Record, task: str, density: str, x: float, y: float) -> list[str]:
    """One density of one task, its plot's upper end at y."""
    lengths, tall = document["lengths"], TALL - 52
    cells = {
        (r["way"], r["length"]): r["accuracy"]
        for r in document["records"]
        if r["task"] == task and "length" in r
    }
    step = (PANEL - LEFT - 12) / max(1, len(lengths) - 1)
    x_of = {n: x + LEFT + i * step for i, n in enumerate(lengths)}
    lines = [
        f'<text class="note" x="{x + LEFT - 14}" y="{y - 10}">{escape(TASKS[task])}, density '
        f"{density}</text>"
    ]
    for share in (0, 0.5, 1):
        level = y + (1 - share) * tall
        lines.append(
            f'<line class="one" x1="{x + LEFT}" x2="{x + PANEL - 12}" y1="{level:.1f}" '
            f'y2="{level:.1f}"/><text class="note" x="{x + LEFT - 6}" y="{level + 4:.1f}" '
            f'text-anchor="end">{100 * share:.0f} %</text>'
        )
    for n in lengths:
        lines.append(
            f'<text class="note" x="{x_of[n]:.1f}" y="{y + tall + 18}" '
            f'text-anchor="middle">{n // 1024}k</text>'
        )
    for kind, colour in COLOURS.items():
        way = kind if kind == "dense" else f"{kind} {density}"
        points = [(x_of[n], y + (1 - cells[way, n]) * tall) for n in lengths if (way, n) in cells]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{7 if kind == "dense" else 2.5}"/>'  # others often lie on it
        )
        lines += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in points]
    return lines
