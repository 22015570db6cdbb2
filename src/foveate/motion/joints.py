"""The joints: their names and parents, their degrees of freedom with axes, ranges and gains.

The one thing to know: the order of `DOFS` (joints depth first, hinges outermost first) is the order
of qpos[7:] everywhere. Signs are those of `body`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# fmt: off
JOINTS = (
    "pelvis", "L_hip", "R_hip", "spine1", "L_knee", "R_knee", "spine2", "L_ankle", "R_ankle",
    "spine3", "L_foot", "R_foot", "neck", "L_collar", "R_collar", "head", "L_shoulder",
    "R_shoulder", "L_elbow", "R_elbow", "L_wrist", "R_wrist",
)
# fmt: on
"""Names in the order of SMPL and HumanML3D."""

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
JOINT = {name: index for index, name in enumerate(JOINTS)}


@dataclass(frozen=True)
class Dof:
    """One hinge.

    Attributes:
        name: `joint.dof`, as in `L_hip.flex`.
        joint: Index of its joint.
        axis: What a positive angle turns about, in the frame of the parent (for the first hinge of
            a joint; the next ones turn with those before).
        low, high: Range in degrees.
        kp: Gain of its position servo, N·m/rad.
        limit: Largest torque, N·m.
    """

    name: str
    joint: int
    axis: tuple[int, int, int]
    low: float
    high: float
    kp: float
    limit: float

    @property
    def kv(self) -> float:
        """Velocity gain of the servo, N·m·s/rad."""
        return 0.08 * self.kp

    @property
    def damping(self) -> float:
        return 0.01 * self.kp

    @property
    def armature(self) -> float:
        return 0.006 if self.kp < 100 else 0.02


# joint: rows of (dof, axis, low, high, kp, torque limit); "s" marks a component that is mirrored.
# The first row is the outermost rotation. Positive means: flex forward (knee: heel backwards;
# elbow: hand up; wrist: to the palm), abd away from the midline, rot inwards for limbs and to the
# left for the trunk, lat to the left, dorsi toes up, inv sole inwards, ext toes up, elev up, prot
# forward, pron thumb inwards, dev to the thumb.
_X, _Y, _Z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
_NX, _NY = (-1, 0, 0), (0, -1, 0)
_LIMBS = {
    "hip": [
        ("flex", _NY, -30, 130, 400, 250),
        ("abd", "s00", -30, 60, 400, 250),
        ("rot", "00-s", -45, 45, 200, 120),
    ],
    "knee": [("flex", _Y, -2, 155, 350, 250)],
    "ankle": [("dorsi", _NY, -50, 35, 300, 160), ("inv", "-s00", -30, 30, 200, 90)],
    "foot": [("ext", _NY, -30, 80, 40, 30)],
    "collar": [("elev", "s00", -10, 30, 150, 80), ("prot", "00-s", -20, 30, 150, 80)],
    "shoulder": [
        ("flex", _NY, -60, 180, 150, 110),
        ("abd", "s00", -30, 180, 150, 110),
        ("rot", "00-s", -90, 90, 80, 60),
    ],
    "elbow": [("flex", _NY, -2, 150, 100, 80), ("pron", "00-s", -85, 85, 30, 25)],
    "wrist": [("flex", "-s00", -70, 70, 20, 15), ("dev", _NY, -30, 25, 20, 15)],
}
_TRUNK = {
    "spine": [
        ("flex", _Y, -15, 35, 600, 250),
        ("lat", _NX, -20, 20, 600, 250),
        ("rot", _Z, -20, 20, 400, 150),
    ],
    "neck": [
        ("flex", _Y, -40, 40, 60, 40),
        ("lat", _NX, -30, 30, 60, 40),
        ("rot", _Z, -50, 50, 60, 40),
    ],
    "head": [
        ("flex", _Y, -25, 25, 40, 30),
        ("lat", _NX, -15, 15, 40, 30),
        ("rot", _Z, -30, 30, 40, 30),
    ],
}
_SIDED = {
    ("s00", 1): (1, 0, 0),
    ("s00", -1): (-1, 0, 0),
    ("-s00", 1): (-1, 0, 0),
    ("-s00", -1): (1, 0, 0),
    ("00-s", 1): (0, 0, -1),
    ("00-s", -1): (0, 0, 1),
}


def _depth_first(joint: int = 0) -> list[int]:
    found = [joint]
    for child, parent in enumerate(PARENTS):
        if parent == joint:
            found += _depth_first(child)
    return found


ORDER = tuple(_depth_first())
"""Joints in the order of the MJCF tree (depth first), which is the order of qpos."""


def _dofs() -> tuple[Dof, ...]:
    found = []
    for index in ORDER[1:]:
        name = JOINTS[index]
        side = {"L_": 1, "R_": -1}.get(name[:2], 0)
        rows = _LIMBS[name[2:]] if side else _TRUNK[name.rstrip("123")]
        for dof, axis, *numbers in rows:
            turned = _SIDED[axis, side] if isinstance(axis, str) else axis
            found.append(Dof(f"{name}.{dof}", index, turned, *map(float, numbers)))
    return tuple(found)


DOFS = _dofs()
"""The 47 hinges in the order of qpos[7:] and of the actuators."""
DOF = {dof.name: index for index, dof in enumerate(DOFS)}
DOF_LOW = np.radians([dof.low for dof in DOFS])
DOF_HIGH = np.radians([dof.high for dof in DOFS])
JOINT_DOFS = {
    joint: tuple(i for i, dof in enumerate(DOFS) if dof.joint == joint) for joint in range(22)
}
"""Joint index → indices of its hinges."""

VIRTUAL = {
    "torso": (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)),
    "head_look": (("neck", 0.55), ("head", 0.45)),
}
"""Joints that exist only in plans: their angle is shared out over real ones."""

STANCE = {
    "B_shoulder.abd": 8.0,
    "B_elbow.flex": 10.0,
    "B_knee.flex": 14.0,
    "B_hip.flex": 9.0,
    "B_ankle.dorsi": 5.0,
}
"""The relaxed standing pose in degrees; soft knees, since straight ones cannot shift weight."""
