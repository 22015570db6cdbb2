"""The picture of docs/sagebwd.md: training loss above float's, as SVG text made from records.

The one thing to know: runs of one seed see the same batches, so the difference of two curves shows
what the curves themselves, which lie on each other, would hide.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.figure import STYLE
from benchmarks.sagebwd_tables import load

PICTURE = Path(__file__).parent.parent / "docs" / "sagebwd.svg"
COLOURS = {"axis": "#0a7ea4", "block": "#c4551d"}
TITLES = {"axis": "SageBwd()", "block": 'SageBwd("block")'}
PANELS = (
    ("fine-tuning SmolLM2", {"kind": "finetune"}),
    ("pre-training, 8,192 a step", {"kind": "pretrain", "batch": "small"}),
    ("pre-training, 32,768 a step", {"kind": "pretrain", "batch": "large"}),
)
WIDTH, HEIGHT, PANEL, TOP, BOTTOM, LEFT = 760, 280, 240, 64, 42, 50

Run = dict[str, Any]


def differences(runs: list[Run], arm: str, norm: bool | None) -> list[tuple[float, float]]:
    """(step, loss above float's), the mean over the seeds that both have."""
    runs = [r for r in runs if r.get("qk_norm") == norm]
    mine = {r["seed"]: r for r in runs if r["arm"] == arm}
    exact = {r["seed"]: r for r in runs if r["arm"] == "float"}
    pairs = [(mine[s]["curve"], exact[s]["curve"], mine[s]) for s in mine.keys() & exact.keys()]
    pairs = [(a, b, r) for a, b, r in pairs if a and len(a) == len(b)]
    if not pairs:
        return []
    steps = [(i + 0.5) * pairs[0][2]["curve_steps"] for i in range(len(pairs[0][0]))]
    return [(x, mean(a[i] - b[i] for a, b, _ in pairs)) for i, x in enumerate(steps)]


def _main(runs: list[Run]) -> list[Run]:
    """Runs of the length that most runs have."""
    steps = [r["steps"] for r in runs]
    most = max(sorted(set(steps)), key=steps.count, default=0)
    return [r for r in runs if r["steps"] == most]


def picture() -> str:
    """Three panels: fine-tuning, and pre-training with two batches, with and without QK-norm."""
    document = load("sagebwd-study.json")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Training loss above that of float attention, by step">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="24">Training loss above float’s, nats</text>',
    ]
    if document is None:
        return "\n".join([*lines, '<text x="16" y="60">not measured yet</text>', "</svg>", ""])
    for place, (title, facts) in enumerate(PANELS):
        runs = _main([r for r in document["runs"] if facts.items() <= r.items()])
        lines += _panel(8 + place * (PANEL + 8), title, runs)
    return "\n".join([*lines, *_legend(), "</svg>", ""])


def _panel(shift: int, title: str, runs: list[Run]) -> list[str]:
    norms = sorted({r.get("qk_norm") for r in runs}, key=lambda x: x is False)
    curves = {(a, n): differences(runs, a, n) for a in COLOURS for n in norms}
    curves = {key: points for key, points in curves.items() if points}
    found = [f'<text class="note" x="{shift + LEFT}" y="{TOP - 16}">{title}</text>']
    if not curves:
        return [*found, f'<text class="note" x="{shift + LEFT}" y="{TOP + 40}">not measured</text>']
    last = max(x for points in curves.values() for x, _ in points)
    most = max(abs(y) for points in curves.values() for _, y in points)
    tick = _round_up(most)
    right, low = shift + PANEL - 8, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        across = shift + LEFT + (PANEL - LEFT - 8) * x / last
        return across, TOP + (low - TOP) * (tick - y) / (2 * tick)

    for value in (-tick, 0.0, tick):
        _, y = place(0, value)
        found.append(
            f'<line class="one" x1="{shift + LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="note" x="{shift + LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{f'{value:+g}'.replace('-', '−') if value else 'float'}</text>"
        )
    found.append(
        f'<text class="note" x="{right}" y="{low + 18}" text-anchor="end">'
        f"step {max(r['steps'] for r in runs):,}</text>"
    )
    for (arm, norm), points in curves.items():
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in points))
        dash = ' stroke-dasharray="4 3"' if norm is False else ""
        found.append(
            f'<polyline points="{path}" fill="none" stroke="{COLOURS[arm]}" stroke-width="1.8"'
            f"{dash}/>"
        )
    return found


def _legend() -> list[str]:
    found, at = [], 330
    for arm, colour in COLOURS.items():
        found.append(
            f'<rect x="{at}" y="16" width="14" height="4" fill="{colour}"/>'
            f'<text class="note" x="{at + 20}" y="22">{escape(TITLES[arm])}</text>'
        )
        at += 40 + 7 * len(TITLES[arm])
    found.append(
        f'<line x1="{at}" x2="{at + 22}" y1="18" y2="18" stroke="#8c959f" stroke-width="1.8" '
        f'stroke-dasharray="4 3"/><text class="note" x="{at + 28}" y="22">without QK-norm</text>'
    )
    return found


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 · 10ⁿ."""
    power = 1e-6
    while True:
        for step in (1, 2, 5):
            if step * power >= value:
                return step * power
        power *= 10
