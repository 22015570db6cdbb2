"""The figure: what the body looks like, as solids carried by the joints' frames.

The one thing to know: this is paint over the physical body, not the body itself. It is generated
from the stature alone; left limbs are blue, right limbs orange, so that a person or a model sees at
once which side is which. In a joint's own frame x is forward, y left and z up at rest.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .. import rotations as rot
from ..body import Body
from .solids import Colour, Solid, cone, ellipsoid

LEFT: Colour = (0.20, 0.46, 0.83)
RIGHT: Colour = (0.93, 0.51, 0.20)
TRUNK: Colour = (0.36, 0.39, 0.44)
SKIN: Colour = (0.86, 0.70, 0.58)
NOSE: Colour = (0.74, 0.50, 0.42)
GHOST: Colour = (0.45, 0.46, 0.48)

Part = tuple[str, int, tuple, tuple, tuple, Colour]
"""Kind, joint, first point, second point (or half-axes), radii, colour; in the joint's frame."""


def _limb(joint: int, end: tuple, ra: float, rb: float, colour: Colour, start=(0, 0, 0)) -> Part:
    return ("cone", joint, start, end, (ra, rb), colour)


def _ball(joint: int, centre: tuple, radii: tuple, colour: Colour) -> Part:
    return ("ellipsoid", joint, centre, radii, (), colour)


@lru_cache(maxsize=32)
def parts_of(body: Body) -> tuple[Part, ...]:
    """The parts of a body's figure."""
    o, k = body.offsets, body.scale
    hip_y, waist, chest = abs(o[1, 1]), 0.052 * k, 0.072 * k
    found: list[Part] = [
        _ball(0, (0, 0, 0.0), (0.106 * k, hip_y + 0.074 * k, 0.115 * k), TRUNK),
        _ball(12, (0.0, 0, 0.0), (0.068 * k, 0.075 * k, 0.06 * k), TRUNK),
        _limb(12, tuple(o[15]), 0.062 * k, 0.056 * k, SKIN, (0, 0, -0.02 * k)),
        _ball(15, (0.018 * k, 0, 0.100 * k), (0.104 * k, 0.082 * k, 0.128 * k), SKIN),
        _limb(15, (0.130 * k, 0, 0.076 * k), 0.012 * k, 0.017 * k, NOSE, (0.112 * k, 0, 0.106 * k)),
    ]
    for y in (-1, 1):  # the trunk is a row of leaning pillars, so that it bends without gaps
        found += [
            _limb(0, (0, y * waist, o[3, 2]), 0.098 * k, 0.09 * k, TRUNK, (0, y * hip_y * 0.8, 0)),
            _limb(3, (0, y * waist, o[6, 2]), 0.09 * k, 0.092 * k, TRUNK, (0, y * waist, 0)),
            _limb(6, (0, y * chest, o[9, 2]), 0.092 * k, 0.1 * k, TRUNK, (0, y * waist, 0)),
            _limb(9, (0, y * chest, 0.105 * k), 0.1 * k, 0.092 * k, TRUNK, (0, y * chest, 0)),
            _limb(
                9,
                (0, y * 0.1 * k, 0.150 * k),
                0.066 * k,
                0.058 * k,
                TRUNK,
                (0, y * 0.03 * k, 0.185 * k),
            ),
        ]
    for side, colour, s in ((0, LEFT, 1.0), (1, RIGHT, -1.0)):
        hip, knee, ankle, foot = 1 + side, 4 + side, 7 + side, 10 + side
        collar, shoulder, elbow, wrist = 13 + side, 16 + side, 18 + side, 20 + side
        found += [
            _limb(hip, tuple(o[knee]), 0.086 * k, 0.056 * k, colour),
            _limb(knee, tuple(o[knee] * 0 + o[ankle] * 0.34), 0.054 * k, 0.057 * k, colour),
            _limb(knee, tuple(o[ankle]), 0.057 * k, 0.036 * k, colour, tuple(o[ankle] * 0.3)),
            _foot(ankle, o[foot], k, colour),
            _limb(foot, (0.052 * k, 0, 0.0), 0.027 * k, 0.02 * k, colour),
            _limb(collar, tuple(o[shoulder]), 0.05 * k, 0.056 * k, TRUNK),
            _limb(shoulder, tuple(o[elbow]), 0.055 * k, 0.039 * k, colour),
            _limb(elbow, tuple(o[wrist] * 0.35), 0.039 * k, 0.041 * k, colour),
            _limb(elbow, tuple(o[wrist]), 0.041 * k, 0.027 * k, colour, tuple(o[wrist] * 0.3)),
            _ball(wrist, (0.004 * k, 0, -0.055 * k), (0.041 * k, 0.02 * k, 0.056 * k), SKIN),
            _limb(
                wrist,
                (0, -0.006 * s * k, -0.158 * k),
                0.021 * k,
                0.014 * k,
                SKIN,
                (0, 0, -0.09 * k),
            ),
            _limb(
                wrist,
                (0.05 * k, 0, -0.085 * k),
                0.015 * k,
                0.011 * k,
                SKIN,
                (0.018 * k, 0, -0.03 * k),
            ),
        ]
        found.append(_heel(ankle, o[foot], k, colour))
    return tuple(found)


def _foot(joint: int, toe: np.ndarray, k: float, colour: Colour) -> Part:
    """Instep: from the ankle down to the ball of the foot."""
    return _limb(joint, (toe[0], toe[1], toe[2] + 0.004 * k), 0.040 * k, 0.029 * k, colour)


def _heel(joint: int, toe: np.ndarray, k: float, colour: Colour) -> Part:
    """Sole: from the heel to the ball of the foot."""
    z = toe[2] + 0.004 * k
    return _limb(
        joint, (toe[0], toe[1], z), 0.032 * k, 0.029 * k, colour, (-0.045 * k, 0, z + 0.002 * k)
    )


def figure(joints: np.ndarray, turns: np.ndarray, body: Body) -> list[Solid]:
    """The figure in one pose.

    Args:
        joints: World positions, [22, 3].
        turns: World rotations of the joints' frames, identity at rest, quaternions [22, 4].
        body: Whose proportions.

    Returns:
        Solids in world coordinates.
    """
    matrices = rot.to_matrix(turns)
    solids = []
    for kind, joint, first, second, radii, colour in parts_of(body):
        turn, origin = matrices[joint], joints[joint]
        a = origin + turn @ np.asarray(first, float)
        if kind == "cone":
            b = origin + turn @ np.asarray(second, float)
            solids.append(cone(a, b, radii[0], radii[1], colour))
        else:
            solids.append(ellipsoid(a, turn, np.asarray(second), colour))
    return solids
