"""Pose: one instant of the body. Rotations are the truth; hinge angles are read off them.

The one thing to know: `from_dofs` and `to_dofs` speak degrees and clinical words
(`{"R_shoulder.abd": 90}`), everything else radians and quaternions. `B_` stands for both sides,
`torso` and `head_look` for the spine and for neck and head together, and a shoulder may be told as
elevation, plane and axial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import rotations as rot
from .body import BODY, DOF, DOF_HIGH, DOF_LOW, DOFS, JOINT, JOINTS, STANCE, VIRTUAL, Body
from .kinematics import (
    fk,
    hinges_to_quats,
    join_qpos,
    quats_to_hinges,
    shoulder_quat,
    shoulder_words,
    site_positions,
    split_qpos,
)
from .rotations import Array

SHOULDER_WORDS = ("elevation", "plane", "axial")
_SWAP = [
    JOINT[name.replace("L_", "~").replace("R_", "L_").replace("~", "R_")] - 1 for name in JOINTS[1:]
]
SOLES = tuple(
    f"{s}_{end}_{edge}" for s in "LR" for end in ("heel", "toe") for edge in ("in", "out")
)


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the body is and how its joints are turned.

    Args:
        root_pos: Pelvis in metres, simulation frame, `[3]`.
        root_quat: Pelvis orientation, `[4]`.
        joint_quat: Joints 1 … 21 relative to rest, `[21, 4]`.
        hands: Curl of the five fingers (thumb first), 0 open … 1 closed, by "L" and "R"; shown and
            exported, never simulated.

    Raises:
        ValueError: A shape is wrong, a value is not finite, or a quaternion has no length.
    """

    root_pos: Array
    root_quat: Array
    joint_quat: Array
    hands: Mapping[str, tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        for name, shape in (("root_pos", (3,)), ("root_quat", (4,)), ("joint_quat", (21, 4))):
            value = np.array(getattr(self, name), float)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"Pose.{name} has shape {list(value.shape)}; expected {list(shape)}, all finite"
                )
            if name != "root_pos":
                if (np.linalg.norm(value, axis=-1) < 1e-9).any():
                    raise ValueError(f"Pose.{name} has a quaternion of length 0")
                value = rot.unit(value)
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Equal to the last bit."""
        if not isinstance(other, Pose):
            return NotImplemented
        same = (self.hands or None) == (other.hands or None)
        names = ("root_pos", "root_quat", "joint_quat")
        return same and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    __hash__ = None  # type: ignore[assignment]

    # ---- made from other things

    @classmethod
    def rest(cls, body: Body = BODY) -> Pose:
        """At attention: arms hanging, palms to the thighs, every joint frame as the world's."""
        return cls(body.offsets[0], rot.IDENTITY, np.tile(rot.IDENTITY, (21, 1)))

    @classmethod
    def neutral(cls, body: Body = BODY) -> Pose:
        """Relaxed standing with soft knees, soles on the floor."""
        return cls.rest(body).with_dofs(STANCE).grounded(body)

    @classmethod
    def from_dofs(cls, dofs: Mapping[str, float], body: Body = BODY) -> Pose:
        """Angles in degrees on the pose at attention; see `with_dofs`."""
        return cls.rest(body).with_dofs(dofs)

    @classmethod
    def from_qpos(cls, qpos: ArrayLike) -> Pose:
        """From MuJoCo's coordinates, `[54]`."""
        pos, quat, hinges = split_qpos(qpos)
        return cls(pos, quat, hinges_to_quats(hinges))

    def with_dofs(self, dofs: Mapping[str, float]) -> Pose:
        """This pose with some angles set, in degrees; the others stay.

        Raises:
            ValueError: A name is unknown or a value is not a finite number.
        """
        return replace(self, joint_quat=hinges_to_quats(apply_dofs(self.hinges(), dofs)))

    # ---- read as other things

    def hinges(self, near: ArrayLike | None = None) -> Array:
        """Hinge angles in radians, `[47]`; `near` settles ambiguous ones."""
        return quats_to_hinges(self.joint_quat, near)

    def to_dofs(self) -> dict[str, float]:
        """Name of each hinge → degrees."""
        angles = np.degrees(self.hinges())
        return {dof.name: float(angle) for dof, angle in zip(DOFS, angles, strict=True)}

    def shoulder(self, side: str) -> tuple[float, float, float]:
        """Elevation, plane and axial turn of the "L" or "R" shoulder in degrees."""
        s = 1 if side == "L" else -1
        return shoulder_words(self.joint_quat[JOINT[f"{side}_shoulder"] - 1], s)

    def to_qpos(self, near: ArrayLike | None = None) -> Array:
        """MuJoCo's coordinates, `[54]`."""
        return join_qpos(self.root_pos, self.root_quat, self.hinges(near))

    def fk(self, body: Body = BODY) -> Array:
        """Places of the 22 joints in metres, `[22, 3]`."""
        return fk(self.root_pos, self.root_quat, self.joint_quat, body)[0]

    def sites(self, *names: str, body: Body = BODY) -> Array:
        """Places of named sites in metres, `[len(names), 3]`."""
        return site_positions(
            *fk(self.root_pos, self.root_quat, self.joint_quat, body), names, body
        )

    # ---- changed

    def mirror(self) -> Pose:
        """Left and right swapped, as in a mirror that stands along the x axis."""
        hands = self.hands and {"LR"[side == "L"]: curl for side, curl in self.hands.items()}
        return Pose(
            self.root_pos * [1, -1, 1],
            rot.mirror(self.root_quat),
            rot.mirror(self.joint_quat)[_SWAP],
            hands,
        )

    def lerp(self, other: Pose, s: float) -> Pose:
        """Between this pose (s = 0) and another (s = 1): root straight, rotations on arcs."""
        return Pose(
            (1 - s) * self.root_pos + s * other.root_pos,
            rot.slerp(self.root_quat, other.root_quat, s),
            rot.slerp(self.joint_quat, other.joint_quat, s),
            other.hands if s >= 0.5 else self.hands,
        )

    def grounded(self, body: Body = BODY, floor: float = 0.0) -> Pose:
        """Shifted vertically until the lowest sole corner touches the floor."""
        lowest = self.sites(*SOLES, body=body)[:, 2].min()
        return replace(self, root_pos=self.root_pos + np.array([0, 0, floor - lowest]))

    def clamped(self) -> tuple[Pose, dict[str, tuple[float, float]]]:
        """The pose with every angle inside its range, and what changed: name → (from, to)."""
        before = self.hinges()
        after = np.clip(before, DOF_LOW, DOF_HIGH)
        changed = {
            DOFS[i].name: (float(np.degrees(before[i])), float(np.degrees(after[i])))
            for i in np.flatnonzero(np.abs(after - before) > 1e-6)
        }
        return (replace(self, joint_quat=hinges_to_quats(after)) if changed else self), changed

    # ---- saved

    def to_json(self) -> dict[str, Any]:
        """Plain values; the inverse of `from_json`."""
        found: dict[str, Any] = {
            "root_pos": self.root_pos.tolist(),
            "root_quat": self.root_quat.tolist(),
            "joint_quat": self.joint_quat.tolist(),
        }
        if self.hands:
            found["hands"] = {side: list(curl) for side, curl in self.hands.items()}
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pose:
        """Raises ValueError for missing fields or wrong shapes."""
        try:
            return cls(
                np.array(data["root_pos"], float),
                np.array(data["root_quat"], float),
                np.array(data["joint_quat"], float),
                {s: tuple(map(float, c)) for s, c in data["hands"].items()}
                if data.get("hands")
                else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"a pose needs root_pos [3], root_quat [4] and joint_quat [21, 4]; got {error!r}"
            ) from error


def apply_dofs(hinges: ArrayLike, dofs: Mapping[str, float]) -> Array:
    """Hinge angles in radians `[47]` with some of them set in degrees, by the names of `Pose`.

    Raises:
        ValueError: A name is unknown or a value is not a finite number.
    """
    found = np.array(hinges, float)
    words: dict[str, dict[str, float]] = {}
    for name, value in dofs.items():
        if not isinstance(value, (int, float)) or not np.isfinite(value):
            raise ValueError(f"angle of {name} is {value!r}; expected a finite number of degrees")
        for real, share in expand_dof(name):
            joint, _, dof = real.partition(".")
            if dof in SHOULDER_WORDS:
                words.setdefault(joint, {})[dof] = float(value)
            else:
                found[DOF[real]] = np.radians(value * share)
    for joint, told in words.items():
        rows = [DOF[f"{joint}.{dof}"] for dof in ("flex", "abd", "rot")]
        side = 1 if joint[0] == "L" else -1
        quats = hinges_to_quats(found)
        now = shoulder_words(quats[JOINT[joint] - 1], side)
        values = [told.get(word, old) for word, old in zip(SHOULDER_WORDS, now, strict=True)]
        quats[JOINT[joint] - 1] = shoulder_quat(*values, side)
        found[rows] = quats_to_hinges(quats, found)[rows]
    return found


def expand_dof(name: str) -> list[tuple[str, float]]:
    """The real hinges (or shoulder words) that a name of a plan stands for, with their share.

    `B_knee.flex` stands for two, `torso.flex` for three that add up.

    Raises:
        ValueError: The name is unknown; the message lists what exists.
    """
    joint, _, dof = name.partition(".")
    if joint in VIRTUAL and dof in ("flex", "lat", "rot"):
        return [(f"{real}.{dof}", share) for real, share in VIRTUAL[joint]]
    names = [f"{s}_{joint[2:]}.{dof}" for s in "LR"] if joint.startswith("B_") else [name]
    for real in names:
        shoulder = real[2:].partition(".")[0] == "shoulder" and real[:2] in ("L_", "R_")
        if real not in DOF and not (shoulder and dof in SHOULDER_WORDS):
            raise ValueError(
                f"unknown degree of freedom {name!r}; expected joint.dof as in L_knee.flex, with "
                f"joints {', '.join(JOINTS[1:])}, torso, head_look (B_ for both sides) and dofs "
                f"{_dofs_of(joint)}"
            )
    return [(real, 1.0) for real in names]


def _dofs_of(joint: str) -> str:
    joint = f"L_{joint[2:]}" if joint.startswith("B_") else joint
    found = [dof.name.partition(".")[2] for dof in DOFS if dof.name.startswith(f"{joint}.")]
    if not found:
        found = list(dict.fromkeys(dof.name.partition(".")[2] for dof in DOFS))
    return ", ".join(found)
