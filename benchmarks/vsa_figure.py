"""The picture of docs/train-video.md: held-out loss by FLOPs, and models that become sparse.

The one thing to know: lines are means of the seeds, bands reach from the smallest to the largest.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from statistics import mean

from benchmarks.figure import STYLE
from benchmarks.vsa_tables import MAIN, Study, load

PICTURE = Path(__file__).parent.parent / "docs" / "train-video.svg"
COLOURS = {
    "dense": "#8c959f",
    "VSA": "#0a7ea4",
    "Local": "#c4551d",
    "Spatial-Temporal": "#7a5fb5",
    "Strided Window": "#3d8f4f",
    "Compress KV": "#b8860b",
    "Spatial-Full": "#c0417f",
}
WAYS = {
    "dense": "#8c959f",
    "at once": "#c4551d",
    "annealed": "#0a7ea4",
    "annealed, random gates": "#7a5fb5",
}
WIDTH, HEIGHT, PANEL, TOP, BOTTOM, LEFT = 760, 400, 372, 58, 122, 52

Band = list[tuple[float, float, float, float]]
"""x, mean, smallest, largest."""


def picture() -> str:
    """Two panels as SVG text: equal FLOPs, and retrofit."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Held-out loss by training FLOPs for ways to attend, and during retrofit">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="24">Held-out loss of a video model</text>',
    ]
    if load() is None:
        return "\n".join([*lines, '<text x="16" y="60">not measured yet</text>', "</svg>", ""])
    study = Study()
    curves = {arm: band([r["held_out"] for r in study.of(arm).values()])
              for arm in MAIN if arm in study.arms()}  # fmt: skip
    lines += panel(8, "by share of the budget of FLOPs", curves, COLOURS, "{:.0%}")
    try:
        ways = {way: band(study.retrofit(way)) for way in WAYS}
    except LookupError:
        ways = {}
    lines += panel(8 + PANEL + 4, "a dense model goes on, by step", ways, WAYS, "{:,.0f}")
    return "\n".join([*lines, "</svg>", ""])


def band(curves: list[list[list[float]]]) -> Band:
    """Curves of several seeds as one band."""
    return [
        (points[0][0], mean(ys), min(ys), max(ys))
        for points in zip(*curves, strict=True)
        for ys in [[y for _, y in points]]
    ]


def panel(
    shift: int, title: str, curves: dict[str, Band], colours: dict[str, str], form: str
) -> list[str]:
    """One plot with its legend below."""
    found = [f'<text class="note" x="{shift + LEFT}" y="{TOP - 12}">{escape(title)}</text>']
    if not curves:
        return [*found, f'<text class="note" x="{shift + LEFT}" y="{TOP + 40}">not measured</text>']
    xs = [p[0] for points in curves.values() for p in points]
    # the first half of the slowest would press the ends of all others together
    high = max(points[len(points) // 2][3] for points in curves.values())
    low = min(p[2] for points in curves.values() for p in points)
    high += 0.05 * (high - low)
    right, floor = shift + PANEL - 12, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - min(xs)) / max(max(xs) - min(xs), 1e-9)
        down = (high - min(y, high)) / max(high - low, 1e-9)
        return shift + LEFT + (right - shift - LEFT) * across, TOP + (floor - TOP) * down

    for i in range(4):
        value = low + (high - low) * i / 3
        y = place(xs[0], value)[1]
        found.append(
            f'<line class="one" x1="{shift + LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="note" x="{shift + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:.3f}</text>"
        )
    for x, anchor in ((min(xs), "start"), (max(xs), "end")):
        at = place(x, low)[0]
        found.append(
            f'<text class="note" x="{at:.1f}" y="{floor + 18}" text-anchor="{anchor}">'
            f"{form.format(x)}</text>"
        )
    for name, points in curves.items():
        points = [p for p in points if p[1] <= high] or points[-1:]
        upper = [place(x, top) for x, _, _, top in points]
        lower = [place(x, bottom) for x, _, bottom, _ in reversed(points)]
        middle = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(x, y) for x, y, *_ in points))
        area = " ".join(f"{a:.1f},{b:.1f}" for a, b in upper + lower)
        found.append(
            f'<polygon points="{area}" fill="{colours[name]}" opacity="0.18"/>'
            f'<polyline points="{middle}" fill="none" stroke="{colours[name]}" stroke-width="2"/>'
        )
    return [*found, *_legend(shift + LEFT, floor + 42, curves, colours)]


def _legend(x: float, y: float, curves: dict[str, Band], colours: dict[str, str]) -> list[str]:
    """Names in two columns."""
    found = []
    for place, name in enumerate(curves):
        left, top = x + 160 * (place % 2), y + 20 * (place // 2)
        found.append(
            f'<rect x="{left}" y="{top - 6}" width="14" height="4" fill="{colours[name]}"/>'
            f'<text class="note" x="{left + 20}" y="{top}">{escape(name)}</text>'
        )
    return found
