"""Layers: angles laid over what the other keys do, such as waving while walking.

The one thing to know: layer keys are taken out before anything is expanded, and come back as curves
over the interpolated posture, so that footwork, balance and timing never know of them. Their times
are moved along when the keys around them were retimed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..body import DOF
from ..plan import Keyframe, KeyframePlan
from ..pose import apply_dofs, expand_dof
from ..rotations import Array
from .curves import Curve, min_jerk
from .knots import Knot

FADE = 0.35
"""Seconds in which a layer fades out after its last key."""


def without_layers(plan: KeyframePlan) -> tuple[KeyframePlan, list[Keyframe]]:
    """The plan of the main keys alone, and the layer keys in order."""
    layers = [key for key in plan.keys if key.layer]
    if not layers:
        return plan, []
    main = [key for key in plan.keys if not key.layer]
    if not main:
        raise ValueError("every key of the plan is a layer; expected main keys below them")
    return plan.model_copy(update={"keys": main}), layers


def lay_over(reference: Array, layers: Sequence[Keyframe], main: Sequence[Keyframe],
             knots: Sequence[Knot], fps: float) -> None:  # fmt: skip
    """Blend the layers' angles into interpolated poses, in place.

    A layer fades in from its run's first main key, and out within 0.35 s after its last key.

    Args:
        reference: `[T, 54]`, MuJoCo's coordinates.
        layers: Keys with `layer`, in order.
        main: The other keys of the plan.
        knots: Timed; what the main keys became.
        fps: Of `reference`.
    """
    told = [(key.t, knot.t) for key in main for knot in knots if knot.key == key.id]
    asked, became = np.array(told).T
    at = np.arange(len(reference)) / fps
    for run in _runs(layers, [key.t for key in main]):
        names = sorted({real for key in run for name in key.dofs for real, _ in _hinges(name)})
        rows = np.array([DOF[name] for name in names])
        times = np.interp([key.t for key in run], asked, became)
        times = np.maximum.accumulate(times + np.arange(len(run)) * 1e-4)
        start = float(np.interp(max(t for t in asked if t <= run[0].t + 1e-9), asked, became))
        start = min(start, float(times[0]) - 0.15)
        hinges = reference[min(len(at) - 1, max(0, round(times[0] * fps))), 7:].copy()
        points = []
        for key in run:
            hinges = apply_dofs(hinges, key.dofs)
            points.append(hinges[rows])
        curve = Curve(times, np.array(points), np.zeros(len(run), bool), [k.ease for k in run[1:]])
        inside = np.clip(at, times[0], times[-1])
        rise = np.clip((at - start) / (times[0] - start), 0, 1)
        fall = np.clip(1 - (at - times[-1]) / FADE, 0, 1)
        weight = (min_jerk(rise) * min_jerk(fall))[:, None]
        below = reference[:, 7 + rows]
        reference[:, 7 + rows] = below + weight * (curve(inside) - below)


def _runs(layers: Sequence[Keyframe], main: Sequence[float]) -> list[list[Keyframe]]:
    """Layer keys that belong together: of the same joints, less than 2 s apart."""
    found: list[list[Keyframe]] = []
    for key in layers:
        joints = {n.split(".")[0] for n in key.dofs}
        for run in reversed(found):
            same = joints & {n.split(".")[0] for k in run for n in k.dofs} or not joints
            if same and key.t - run[-1].t < 2.0:
                run.append(key)
                break
        else:
            if joints:
                found.append([key])
    return found


def _hinges(name: str) -> list[tuple[str, float]]:
    """Real hinges behind a name of a plan; a shoulder's words stand for its three."""
    joint, _, dof = name.partition(".")
    if dof in ("elevation", "plane", "axial"):
        return [(f"{joint}.{real}", 1.0) for real in ("flex", "abd", "rot")]
    return expand_dof(name)
