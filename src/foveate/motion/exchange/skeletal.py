"""Skeletal motion: the form in which BVH, glTF and other files carry a movement.

The one thing to know: it is in the file frame (X left, Y up, Z forward, metres) and relative to the
file's own rest pose, which for our exports is a T-pose. The body's own frames hang the arms down;
`A` below turns a hanging arm's frame into that of the T-pose, so that a rotation of zero in the
file shows a T. For a joint j with world rotation R_j at rest = identity:

    R'_j = R_j A_j,   offset'_j = A_parentᵀ offset_j,   local'_j = R'_parentᵀ R'_j,

with A = Rot(x, −90°·s) on the shoulder, elbow and wrist of side s, else the identity; then the
basis changes from simulation to file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .. import rotations as rot
from ..body import JOINTS, PARENTS, Body
from ..kinematics import fk_qpos

Array = rot.Array


@dataclass
class SkeletalMotion:
    """A moving tree of joints.

    Args:
        names: Of the joints.
        parents: Index of each joint's parent, −1 for the root; a parent comes before its children.
        offsets: Of each joint from its parent at rest, metres, [J, 3].
        turns: Local rotations relative to rest, quaternions (w, x, y, z), [T, J, 4].
        root: Position of the root, metres, [T, 3].
        fps: Frames per second.
        ends: Joint → offset of the tip of a limb that ends there, metres, [3].
    """

    names: list[str]
    parents: list[int]
    offsets: Array
    turns: Array
    root: Array
    fps: float
    ends: dict[int, Array] = field(default_factory=dict)

    def world(self) -> tuple[Array, Array]:
        """Positions [T, J, 3] and rotations [T, J, 4] of all joints, file frame."""
        places, turns = [], []
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                places.append(self.root)
                turns.append(self.turns[:, joint])
                continue
            places.append(places[parent] + rot.rotate(turns[parent], self.offsets[joint]))
            turns.append(rot.multiply(turns[parent], self.turns[:, joint]))
        return np.stack(places, 1), np.stack(turns, 1)


def resampled(motion: SkeletalMotion, fps: float) -> SkeletalMotion:
    """The same motion at another rate; rotations along the shorter arc."""
    if fps <= 0:
        raise ValueError(f"fps is {fps}; expected a positive number")
    frames = len(motion.root)
    if abs(fps - motion.fps) < 1e-9 or frames < 2:
        return motion
    last = (frames - 1) / motion.fps
    at = np.arange(int(np.floor(last * fps + 1e-6)) + 1) / fps * motion.fps
    low = np.minimum(at.astype(int), frames - 2)
    part = np.clip(at - low, 0, 1)
    turns = rot.slerp(motion.turns[low], motion.turns[low + 1], part[:, None])
    root = motion.root[low] + (motion.root[low + 1] - motion.root[low]) * part[:, None]
    return replace(motion, turns=turns, root=root, fps=fps)


def _to_t_pose() -> Array:
    """A of the module's text, one quaternion for each of the 22 joints, [22, 4]."""
    found = np.tile(rot.IDENTITY, (22, 1))
    for index, name in enumerate(JOINTS):
        if name[2:] in ("shoulder", "elbow", "wrist"):
            side = 1 if name[0] == "L" else -1
            found[index] = rot.axis_angle([1.0, 0.0, 0.0], np.radians(-90.0 * side))
    return found


T_POSE = _to_t_pose()
ENDS = {
    "head": "head_top",
    "L_foot": "L_toe_tip",
    "R_foot": "R_toe_tip",
    "L_wrist": "L_fingertip",
    "R_wrist": "R_fingertip",
}
"""Last joint of a chain → the site at its tip."""


def t_offsets(body: Body) -> Array:
    """Offsets of the 22 joints in the T-pose, file frame, [22, 3]; the root's is its height."""
    found = body.offsets.copy()
    for joint in range(1, 22):
        found[joint] = rot.rotate(rot.inverse(T_POSE[PARENTS[joint]]), body.offsets[joint])
    return rot.to_file(found)


def from_qpos(qpos: Array, body: Body, fps: float) -> SkeletalMotion:
    """Our body's motion relative to its T-pose.

    Args:
        qpos: [T, 54], simulation frame.
        body: Whose proportions.
        fps: Frames per second.
    """
    places, turns = fk_qpos(qpos, body)
    turned = rot.multiply(turns, T_POSE)
    local = turned.copy()
    for joint in range(1, 22):
        local[:, joint] = rot.multiply(rot.inverse(turned[:, PARENTS[joint]]), turned[:, joint])
    ends = {}
    for site in ENDS.values():
        joint, place = body.sites[site]
        ends[joint] = rot.to_file(rot.rotate(rot.inverse(T_POSE[joint]), place))
    return SkeletalMotion(
        names=list(JOINTS),
        parents=list(PARENTS),
        offsets=t_offsets(body),
        turns=rot.continuous(rot.quat_to_file(local)),
        root=rot.to_file(places[:, 0]),
        fps=fps,
        ends=ends,
    )


def joint_quats(motion: SkeletalMotion) -> tuple[Array, Array, Array]:
    """The inverse of `from_qpos` for a skeleton of our own 22 joints.

    Returns:
        Root positions [T, 3], root rotations [T, 4] and joint rotations [T, 21, 4], simulation
        frame, relative to hanging arms.
    """
    _, turned = motion.world()
    turns = rot.multiply(rot.quat_from_file(turned), rot.inverse(T_POSE))
    local = turns.copy()
    for joint in range(1, 22):
        local[:, joint] = rot.multiply(rot.inverse(turns[:, PARENTS[joint]]), turns[:, joint])
    return rot.from_file(motion.root), turns[:, 0], local[:, 1:]
