"""Figures as inline SVG. Colours come from the page's CSS variables, so they follow light and dark.

The one thing to know: every figure is drawn in a box 420 units wide, so that its text stays
readable when a phone shrinks it to the width of the screen.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

from .tables import signed, times

WIDTH = 420


def tradeoff(rows: list[dict[str, Any]]) -> str:
    """Speed-up against change of perplexity, one dot for each row; right and low is good."""
    rows = [row for row in rows if not row["error"]]
    left, right, top, bottom, height = 46, 16, 22, 42, 300
    x_low, x_high, x_step = _scale([row["speedup"] for row in rows] + [1.0])
    y_low, y_high, y_step = _scale([row["change"] * 100 for row in rows] + [0.0, 0.5])

    def x(value: float) -> float:
        return left + (value - x_low) / (x_high - x_low) * (WIDTH - left - right)

    def y(value: float) -> float:
        return height - bottom - (value - y_low) / (y_high - y_low) * (height - top - bottom)

    parts = []
    for tick in _ticks(x_low, x_high, x_step):
        parts.append(_line(x(tick), top, x(tick), height - bottom, "grid"))
        parts.append(_text(x(tick), height - bottom + 16, f"{tick:g}×", "tick", "middle"))
    for tick in _ticks(y_low, y_high, y_step):
        parts.append(_line(left, y(tick), WIDTH - right, y(tick), "zero" if tick == 0 else "grid"))
        parts.append(
            _text(
                left - 7,
                y(tick) + 4,
                f"{tick:+g}".replace("-", "−") if tick else "0",
                "tick",
                "end",
            )
        )
    parts.append(
        _text(WIDTH - right, height - 6, "whole-model speed-up over torch SDPA →", "axis", "end")
    )
    parts.append(_text(4, 12, "perplexity, % more than torch SDPA", "axis", "start"))
    parts.extend(
        _dots([(row, x(row["speedup"]), y(row["change"] * 100)) for row in rows], top, height)
    )
    return _svg(height, "Speed-up against change of perplexity", parts)


def _dots(points: list[tuple[dict, float, float]], top: float, height: float) -> list[str]:
    """Dots with their names beside them; names that would overlap move apart."""
    parts, taken = [], []
    for row, x, y in sorted(points, key=lambda point: (point[2], point[1])):
        base = row["name"] == "sdpa"
        wide = 6.3 * len(row["label"])
        left = x + 9 + wide > WIDTH  # no room on the right
        start = x - 9 - wide if left else x + 9
        spots = sorted((dy for dy in range(-104, 105, 13)), key=abs)
        at = next(
            (
                y + dy
                for dy in spots
                if top < y + dy < height - 46
                and not any(
                    abs(y + dy - b) < 12.5 and start < e and s < start + wide for b, s, e in taken
                )
            ),
            y,
        )
        taken.append((at, start, start + wide))
        if abs(at - y) > 1:
            parts.append(_line(x, y, x - 6 if left else x + 6, at, "tie"))
        title = f"{row['label']}: {times(row['speedup'])}, perplexity {signed(row['change'])}"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="{"ring" if base else "dot"}">'
            f"<title>{escape(title)}</title></circle>"
        )
        anchor = "end" if left else "start"
        parts.append(_text(x - 9 if left else x + 9, at + 4, row["label"], "name", anchor))
    return parts


def heatmap(picture: dict[str, Any], levels: int = 9) -> str:
    """An attention map: queries downwards, keys to the right, darker is more attention."""
    mass = picture["mass"]
    cells, left, top = len(mass), 40, 8
    size = (WIDTH - left - 10) / cells
    shapes: list[list[str]] = [[] for _ in range(levels)]
    for row, line in enumerate(mass):
        for column, value in enumerate(line[: row + 1]):
            # steps of a factor of about 1.8: attention spans orders of magnitude
            level = levels + math.floor(math.log(max(value, 1e-9)) / math.log(1.8) + 0.01)
            if level > 0:
                shapes[min(level, levels) - 1].append(f"M{column} {row}h1v1h-1z")
    side, height = size * cells, top + size * cells + 40
    parts = [
        f'<rect x="{left}" y="{top}" width="{side:.1f}" height="{side:.1f}" class="plate"/>',
        f'<g transform="translate({left} {top}) scale({size:.4f})" shape-rendering="crispEdges">',
    ]
    parts.extend(
        f'<path class="heat" style="opacity:{(step + 1) / levels:.2f}" d="{"".join(shape)}"/>'
        for step, shape in enumerate(shapes)
        if shape
    )
    parts.append("</g>")
    tokens = picture["tokens"]
    for share in (0, 0.5, 1):
        label = f"{int(tokens * share):,}"
        anchor = {0: "start", 0.5: "middle", 1: "end"}[share]
        parts.append(_text(left + side * share, top + side + 16, label, "tick", anchor))
        drop = {0: 10, 0.5: 4, 1: 0}[share]
        parts.append(_text(left - 6, top + side * share + drop, label, "tick", "end"))
    parts.append(_text(left + side, top + side + 34, "key read (token number) →", "axis", "end"))
    parts.append(_text(left, top + side + 34, "↓ query", "axis", "start"))
    return _svg(math.ceil(height), "Attention map of one head", parts)


def _scale(values: list[float]) -> tuple[float, float, float]:
    """Round limits around values, and a round step: about four to seven of them."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-6) * 1.12
    step = next(
        s * 10.0**e for e in range(-6, 9) for s in (1, 2, 2.5, 5) if span / (s * 10.0**e) <= 6
    )
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [round(low + i * step, 9) + 0.0 for i in range(round((high - low) / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(height: int, title: str, parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )
