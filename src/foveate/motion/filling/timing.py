"""Timing: how long each segment takes.

The one thing to know: a plan's times are proposals. No joint may be asked to turn faster than a
person can, a weight shift takes its time, gaits and flights keep theirs; and every knot falls on a
frame.

For one segment the shortest time is max over joints of 1.875·|Δθ| / v (1.875 is the peak over the
mean speed of a minimum-jerk profile). Segments do not bind one another, so the least-squares
problem over all times with these bounds is solved by taking, for each, the larger of wish and
bound.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..body import DOFS
from ..kinematics import split_qpos
from ..rotations import angle_between
from .knots import Knot
from .style import Style

PEAK = 1.875
_CAPS = {
    "shoulder": 800.0,
    "elbow": 900.0,
    "hip": 600.0,
    "knee": 900.0,
    "spine": 250.0,
    "neck": 400.0,
    "head": 400.0,
    "collar": 300.0,
    "ankle": 500.0,
    "foot": 600.0,
    "wrist": 900.0,
}
SPEED = np.array(
    [
        np.radians(next(cap for word, cap in _CAPS.items() if word in dof.name.replace("_", " ")))
        for dof in DOFS
    ]
)
"""Fastest turn of each hinge, rad/s."""
ROOT_SPEED, ROOT_TURN = 6.0, np.radians(400.0)


def shortest(a: Knot, b: Knot) -> float:
    """The least time from one knot to the next, seconds."""
    pos_a, quat_a, hinges_a = split_qpos(a.qpos)
    pos_b, quat_b, hinges_b = split_qpos(b.qpos)
    turn = float((np.abs(hinges_b - hinges_a) / SPEED).max())
    travel = float(np.linalg.norm(pos_b - pos_a)) / ROOT_SPEED
    spin = float(angle_between(quat_a, quat_b)) / ROOT_TURN
    return PEAK * max(turn, travel, spin)


def retime(knots: list[Knot], fps: float, style: Style) -> list[str]:
    """Set every knot's `t`, on frames. Returns notes about segments that got longer.

    Args:
        knots: Changed in place; `span` is the wish.
        fps: Frames per second.
        style: Its tempo scales what is not exact; its jitter makes it uneven.
    """
    notes, frame = [], 0
    knots[0].t = 0.0
    for before, knot in pairwise(knots):
        wish = knot.span
        if not knot.exact:
            wish = max(wish / style.tempo, knot.minimum, shortest(before, knot))
            if wish > 1.3 * knot.span / style.tempo and wish > knot.span + 0.15 and knot.key:
                notes.append(f"{knot.key}: {knot.span:.2f} s was too fast, now {wish:.2f} s")
        frame += max(1, round(wish * fps))
        knot.t = frame / fps
    return notes
