"""The picture of docs/moa.md: numbers found by length and density, an SVG made from records.

The one thing to know: like the README's, it is plain text and follows light and dark by itself.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from benchmarks.figure import STYLE
from benchmarks.moa_tables import KINDS, load

PICTURE = Path(__file__).parent.parent / "docs" / "moa.svg"


def picture() -> str:
    """Numbers found by length at densities 0.75, 0.5 and 0.25, as SVG text."""
    document = load("moa-quality.json")
    width, height, panel, top, bottom, left = 760, 270, 236, 62, 40, 44
    colours = {"dense": "#8c959f", "MoA": "#0a7ea4", "uniform": "#c4551d", "split": "#7a5fb5"}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Numbers found in a novel, by length, at three densities">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="24">Numbers found in a novel, by tokens read</text>',
    ]
    if document is None:
        return "\n".join([*lines, '<text x="16" y="60">not measured yet</text>', "</svg>", ""])
    lengths = document["lengths"]
    cells = {
        (r["way"], r["length"]): r["accuracy"]
        for r in document["records"]
        if r["task"] == "needle_text" and "length" in r
    }
    x_of = {n: left + i * (panel - left - 12) / (len(lengths) - 1) for i, n in enumerate(lengths)}
    for place, density in enumerate(("0.75", "0.5", "0.25")):
        shift = 8 + place * (panel + 12)
        lines.append(
            f'<text class="note" x="{shift + left}" y="{top - 14}">density {density}</text>'
        )
        for share in (0, 0.5, 1):
            y = top + (1 - share) * (height - top - bottom)
            lines.append(
                f'<line class="one" x1="{shift + left}" x2="{shift + panel - 12}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/><text class="note" x="{shift + left - 6}" y="{y + 4:.1f}" '
                f'text-anchor="end">{100 * share:.0f} %</text>'
            )
        for n in lengths:
            lines.append(
                f'<text class="note" x="{shift + x_of[n]:.1f}" y="{height - bottom + 18}" '
                f'text-anchor="middle">{n // 1024}k</text>'
            )
        for kind, colour in colours.items():
            way = kind if kind == "dense" else f"{kind} {density}"
            points = [
                (shift + x_of[n], top + (1 - cells[way, n]) * (height - top - bottom))
                for n in lengths
                if (way, n) in cells
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" '
                f'stroke-width="{7 if kind == "dense" else 2.5}"/>'  # others often lie on it
            )
            lines += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points
            ]
    at = 402
    for kind, colour in colours.items():
        lines.append(
            f'<rect x="{at}" y="14" width="14" height="4" fill="{colour}"/>'
            f'<text class="note" x="{at + 20}" y="20">{escape(KINDS.get(kind, "dense"))}</text>'
        )
        at += 30 + 6.4 * len(KINDS.get(kind, "dense"))
    return "\n".join([*lines, "</svg>", ""])
