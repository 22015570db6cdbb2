"""One head's true block mass, and beside it what each selection visited and missed."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from .tables import percent

LEVELS, FACTOR = 9, 1.8  # shades, and how much more mass the next one stands for
SIDE = 200


def block_maps(picture: dict[str, Any]) -> str:
    """Small maps in a row that wraps: the mass, then one map for each selection."""
    first = _map(picture["mass"], None, "True block mass")
    parts = [_framed(first, "every block", "100 % of the blocks, 100 % of the mass")]
    for way in picture["ways"]:
        told = f"{percent(way['density'])} of the blocks, {percent(way['retained'])} of the mass"
        drawn = _map(picture["mass"], way["visits"], f"Blocks visited by {way['label']}")
        parts.append(_framed(drawn, way["label"], told))
    return f'<div class="maps">{"".join(parts)}</div>'


def _framed(svg: str, name: str, told: str) -> str:
    return f"<figure>{svg}<figcaption><b>{escape(name)}</b><br>{escape(told)}</figcaption></figure>"


def _map(mass: list[list[float]], visits: list[str] | None, title: str) -> str:
    """Queries downwards, keys to the right; visited cells in one colour, missed ones in another."""
    cells = len(mass)
    kept: list[list[str]] = [[] for _ in range(LEVELS)]
    lost: list[list[str]] = [[] for _ in range(LEVELS)]
    ground = []
    for row, line in enumerate(mass):
        for column, value in enumerate(line[: row + 1]):
            visited = visits is None or visits[row][column] == "1"
            cell = f"M{column} {row}h1v1h-1z"
            if visited and visits is not None:
                ground.append(cell)
            level = LEVELS + math.floor(math.log(max(value, 1e-9)) / math.log(FACTOR) + 0.01)
            if level > 0:
                (kept if visited else lost)[min(level, LEVELS) - 1].append(cell)
    parts = [f'<rect width="{cells}" height="{cells}" class="plate"/>']
    if ground:
        parts.append(f'<path class="visited" d="{"".join(ground)}"/>')
    for kind, shapes in (("heat", kept), ("lost", lost)):
        parts += [
            f'<path class="{kind}" style="opacity:{(step + 1) / LEVELS:.2f}" d="{"".join(shape)}"/>'
            for step, shape in enumerate(shapes)
            if shape
        ]
    return (
        f'<svg viewBox="0 0 {cells} {cells}" width="{SIDE}" height="{SIDE}" role="img" '
        f'shape-rendering="crispEdges" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
