"""Rolling: where a pelvis goes that leans back or forward on what it sits on.

The one thing to know: what one sits on is round, so the contact wanders while the body turns. A
pelvis that turned in place would have to slide, and friction would tip the body over instead.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..body import JOINT, Body
from ..rotations import Array

STEPS = 24


def rolled(before: Array, after: Array, body: Body) -> Array:
    """How far the pelvis moves when it turns without sliding on a level surface, metres `[2]`.

    Args:
        before, after: Its orientations, quaternions `[4]`.
        body: Whose pelvis; its lowest point is the contact at any time.
    """
    ends = [
        (np.array(end), geom.size[0])
        for geom in body.geoms
        if geom.joint == JOINT["pelvis"] and geom.kind != "box"
        for end in (geom.a, geom.b)
        if end is not None
    ]
    turn = rot.log(rot.multiply(after, rot.inverse(before)))
    moved = np.zeros(3)
    for step in range(STEPS):
        now = rot.multiply(rot.exp(turn * (step + 0.5) / STEPS), before)
        points = [rot.rotate(now, end) - [0.0, 0.0, radius] for end, radius in ends]
        lowest = min(points, key=lambda point: point[2])
        moved -= np.cross(turn / STEPS, lowest)
    return moved[:2]
