"""Ready-made scenes by name.

The one thing to know: the character stands at the origin and looks along +x; `Scene.named` is the
way in.
"""

from __future__ import annotations

import numpy as np

from .scene import Scene, SceneObject


def _empty() -> Scene:
    return Scene(name="empty")


def _chair() -> Scene:
    seat = SceneObject(
        name="chair",
        size=(0.45, 0.45, 0.44),
        position=(-0.45, 0, 0),
        affordances=["sit", "step"],
    )
    return Scene(name="chair", objects=[seat])


def _bed() -> Scene:
    bed = SceneObject(
        name="bed", size=(1.0, 2.1, 0.45), position=(-0.75, 0, 0), affordances=["sit", "lie"]
    )
    return Scene(name="bed", objects=[bed])


def _table() -> Scene:
    table = SceneObject(
        name="table", size=(0.6, 1.0, 0.74), position=(0.75, 0, 0), affordances=["reach", "lean"]
    )
    cup = SceneObject(
        name="cup",
        shape="cylinder",
        size=(0.07, 0.07, 0.1),
        position=(0.55, -0.2, 0.74),
        affordances=["reach"],
    )
    return Scene(name="table", objects=[table, cup])


def _stairs() -> Scene:
    steps = [
        SceneObject(
            name=f"step{i + 1}",
            size=(0.3 if i < 3 else 1.0, 1.2, 0.16 * (i + 1)),
            position=(0.45 + 0.3 * i + (0.35 if i == 3 else 0.0), 0, 0),
            affordances=["step"],
        )
        for i in range(4)
    ]
    return Scene(name="stairs", objects=steps)


def _stones() -> Scene:
    stones = [
        SceneObject(
            name=f"stone{i}",
            shape="cylinder",
            size=(0.36 if i else 0.9, 0.36 if i else 0.9, 0.2),
            position=(0.45 * i + (0.12 if i else 0.0), 0.1 * (-1) ** i if i else 0.0, -0.2),
            affordances=["step"],
        )
        for i in range(7)
    ]
    return Scene(name="stones", objects=stones, floor=False)


def _slope() -> Scene:
    return Scene(
        name="slope",
        objects=[
            SceneObject(name="slope", shape="plane", slope_deg=5, affordances=["step"]),
        ],
    )


def _uneven() -> Scene:
    # a fixed seed: the same ground on every machine
    ground = np.random.default_rng(5).normal(size=(33, 33))
    for _ in range(6):
        ground = sum(np.roll(ground, s, a) for s in (-1, 1) for a in (0, 1)) / 4
    ground = 0.06 * (ground - ground.min()) / (ground.max() - ground.min())
    ground[:, :9] = 0.0  # level where the body starts
    field = SceneObject(
        name="ground",
        shape="heightfield",
        size=(6.4, 6.4, 0.1),
        position=(2.2, 0, 0),
        heights=ground.round(4).tolist(),
        affordances=["step"],
    )
    return Scene(name="uneven", objects=[field])


PRESETS = {
    "empty": _empty,
    "chair": _chair,
    "bed": _bed,
    "table": _table,
    "stairs": _stairs,
    "stones": _stones,
    "slope": _slope,
    "uneven": _uneven,
}
"""Name → function that makes the scene."""
