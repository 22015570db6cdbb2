"""Curves over length as inline SVG, one for each way of attending."""

from __future__ import annotations

from html import escape
from typing import Any

from .figures import WIDTH, _line, _scale, _svg, _text, _ticks


def curves(
    series: dict[str, list[tuple[int, float]]],
    title: str,
    base: str,
    percent: bool = False,
) -> str:
    """Values over length; lengths are evenly spaced, since they usually double.

    Args:
        series: Name → (length, value) pairs.
        title: What the values are; stands above the figure.
        base: Name of the series to draw as the baseline.
        percent: Values are shares, written in percent.
    """
    factor = 100 if percent else 1
    lengths = sorted({length for points in series.values() for length, _ in points})
    values = [value * factor for points in series.values() for _, value in points]
    left, right, top, bottom, height = 42, 118, 26, 36, 240
    if percent:  # whole tens, so that a difference of one percent looks like one
        low, high = min(90, min(values) // 10 * 10), 100.0
        step = 10 if high - low <= 60 else 20
    else:
        some = max(map(abs, values)) / 100  # a flat curve gets room, too
        low, high, step = _scale([min(values) - some, max(values) + some])

    def x(length: int) -> float:
        room = WIDTH - left - right
        return left + room * (lengths.index(length) / max(1, len(lengths) - 1))

    def y(value: float) -> float:
        return height - bottom - (value * factor - low) / (high - low) * (height - top - bottom)

    parts = [_text(4, 12, title, "axis", "start")]
    for tick in _ticks(low, high, step):
        at = y(tick / factor)
        parts.append(_line(left, at, WIDTH - right, at, "grid"))
        parts.append(_text(left - 7, at + 4, f"{tick:g}", "tick", "end"))
    for length in lengths:
        parts.append(_text(x(length), height - bottom + 18, f"{length:,}", "tick", "middle"))
    parts.append(_text(WIDTH - right, height - 4, "tokens", "axis", "end"))
    for number, (name, points) in enumerate(series.items()):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in sorted(points))
        kind = "curve base" if name == base else f"curve c{number % 6}"
        parts.append(f'<polyline class="{kind}" points="{path}"/>')
        parts += [
            f'<circle class="{kind}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5">'
            f"<title>{escape(name)}: {b * factor:.4g} at {a:,} tokens</title></circle>"
            for a, b in points
        ]
    return _svg(height, title, [*parts, *_names(series, y, top, height - bottom, base)])


def _names(series: dict[str, Any], y: Any, top: float, floor: float, base: str) -> list[str]:
    """Names at the right ends of the curves, moved apart where they would overlap."""
    ends = sorted(
        (y(max(points)[1]) + 4, number, name)
        for number, (name, points) in enumerate(series.items())
        if points
    )
    parts, last = [], top - 14.0
    room = floor - 14.0 * (len(ends) - 1)
    for rank, (at, number, name) in enumerate(ends):
        at = last = max(min(at, room + 14.0 * rank), last + 14.0)
        kind = "name base" if name == base else f"name c{number % 6}"
        short = name if len(name) <= 18 else f"{name[:17]}…"
        parts.append(_text(WIDTH - 110, at, short, kind, "start"))
    return parts
