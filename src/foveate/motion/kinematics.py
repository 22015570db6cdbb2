"""Kinematics: hinge angles ⇄ joint rotations, and from rotations to points in space.

The one thing to know: everything takes any number of leading (time) axes, so a whole clip is one
call. A joint's rotation is the product of its hinges, first row of the table outermost, as in
MuJoCo. `qpos` is pelvis position 3, pelvis quaternion 4, then 47 hinge angles in radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import rotations as rot
from .body import BODY, DOF_HIGH, DOF_LOW, DOFS, JOINT_DOFS, PARENTS, Body
from .rotations import Array

_AXES = np.array([dof.axis for dof in DOFS], float)  # [47, 3]


def split_qpos(qpos: ArrayLike) -> tuple[Array, Array, Array]:
    """Root position `[..., 3]`, root quaternion `[..., 4]`, hinges in radians `[..., 47]`."""
    qpos = np.asarray(qpos, float)
    return qpos[..., :3], qpos[..., 3:7], qpos[..., 7:]


def join_qpos(root_pos: ArrayLike, root_quat: ArrayLike, hinges: ArrayLike) -> Array:
    """The inverse of `split_qpos`, `[..., 54]`."""
    parts = [np.asarray(part, float) for part in (root_pos, root_quat, hinges)]
    return np.concatenate(parts, axis=-1)


def hinges_to_quats(hinges: ArrayLike) -> Array:
    """Hinge angles in radians `[..., 47]` to joint rotations `[..., 21, 4]` (joints 1 … 21)."""
    turns = rot.axis_angle(_AXES, hinges)  # [..., 47, 4]
    quats = []
    for joint in range(1, 22):
        first, *rest = JOINT_DOFS[joint]
        product = turns[..., first, :]
        for index in rest:
            product = rot.multiply(product, turns[..., index, :])
        quats.append(product)
    return np.stack(quats, axis=-2)


def quats_to_hinges(quats: ArrayLike, near: ArrayLike | None = None) -> Array:
    """Joint rotations `[..., 21, 4]` to hinge angles in radians `[..., 47]`.

    A joint with three hinges has two solutions; the one within its range is taken, or, where both
    or none are, the one nearest to `near` (to zero if None). A joint with fewer hinges keeps what
    they can express. At |abd| = 90° the first and the last hinge of a shoulder turn about the same
    axis, and only their sum is known; `near` then settles it as far as it can.

    Args:
        quats: Unit quaternions `[..., 21, 4]`.
        near: Hinge angles in radians `[..., 47]` to stay close to.
    """
    quats = np.asarray(quats, float)
    found = np.zeros((*quats.shape[:-2], len(DOFS)))
    close = np.zeros_like(found) if near is None else np.broadcast_to(near, found.shape)
    for joint in range(1, 22):
        rows = list(JOINT_DOFS[joint])
        q = quats[..., joint - 1, :]
        found[..., rows] = _decompose(q, rows, close[..., rows])
    return found


def _decompose(q: Array, rows: list[int], near: Array) -> Array:
    axes = _AXES[rows]
    which = [int(np.argmax(np.abs(axis))) for axis in axes]
    signs = np.array([axis[w] for axis, w in zip(axes, which, strict=True)])
    if len(rows) == 1:
        angle = 2 * np.arctan2(q[..., 1 + which[0]], q[..., 0])
        return _wrap(angle * signs[0])[..., None]
    order = which + [w for w in range(3) if w not in which]
    angles = rot.to_euler(q, "".join("XYZ"[w] for w in order))
    other = angles + np.pi * np.array([1.0, 0.0, 1.0])
    other[..., 1] = np.pi - angles[..., 1]
    if len(rows) == 2:  # the third angle cannot be expressed
        return angles[..., :2] * signs
    first, second = _wrap(angles * signs), _wrap(other * signs)
    low, high = DOF_LOW[rows], DOF_HIGH[rows]

    def cost(x: Array) -> Array:
        outside = np.maximum(low - x, 0) + np.maximum(x - high, 0)
        return 10 * outside.sum(-1) + np.abs(_wrap(x - near)).sum(-1)

    pick = cost(first) <= cost(second)
    return np.where(pick[..., None], first, second)


def _wrap(angle: Array) -> Array:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def fk(
    root_pos: ArrayLike, root_quat: ArrayLike, joint_quat: ArrayLike, body: Body = BODY
) -> tuple[Array, Array]:
    """Where the joints are.

    Args:
        root_pos: Pelvis, metres, `[..., 3]`.
        root_quat: Pelvis orientation `[..., 4]`.
        joint_quat: Rotations of joints 1 … 21 relative to rest `[..., 21, 4]`.
        body: Whose proportions.

    Returns:
        Joint positions `[..., 22, 3]` and world rotations `[..., 22, 4]`, simulation frame.
    """
    root_pos, root_quat = np.asarray(root_pos, float), np.asarray(root_quat, float)
    joint_quat = np.asarray(joint_quat, float)
    places, turns = [root_pos], [root_quat]
    for joint in range(1, 22):
        parent = PARENTS[joint]
        places.append(places[parent] + rot.rotate(turns[parent], body.offsets[joint]))
        turns.append(rot.multiply(turns[parent], joint_quat[..., joint - 1, :]))
    return np.stack(places, axis=-2), np.stack(turns, axis=-2)


def fk_qpos(qpos: ArrayLike, body: Body = BODY) -> tuple[Array, Array]:
    """`fk` of qpos `[..., 54]`."""
    pos, quat, hinges = split_qpos(qpos)
    return fk(pos, quat, hinges_to_quats(hinges), body)


def site_positions(
    positions: ArrayLike, rotations: ArrayLike, names: list[str] | tuple[str, ...], body: Body
) -> Array:
    """Where named sites are, `[..., len(names), 3]`, given what `fk` returned.

    Raises:
        ValueError: A name is unknown.
    """
    positions, rotations = np.asarray(positions, float), np.asarray(rotations, float)
    for name in names:
        if name not in body.sites:
            raise ValueError(f"unknown site {name!r}; sites are {', '.join(sorted(body.sites))}")
    joints = [body.sites[name][0] for name in names]
    local = np.stack([body.sites[name][1] for name in names])
    return positions[..., joints, :] + rot.rotate(rotations[..., joints, :], local)


def centre_of_mass(positions: ArrayLike, rotations: ArrayLike, body: Body) -> Array:
    """Centre of mass `[..., 3]` of what `fk` returned, from the masses of the geoms."""
    positions, rotations = np.asarray(positions, float), np.asarray(rotations, float)
    joints = [geom.joint for geom in body.geoms]
    local = np.array(
        [geom.a if geom.b is None else np.add(geom.a, geom.b) / 2 for geom in body.geoms]
    )
    mass = np.array([geom.mass for geom in body.geoms])
    points = positions[..., joints, :] + rot.rotate(rotations[..., joints, :], local)
    return (points * mass[:, None]).sum(-2) / mass.sum()


def shoulder_quat(elevation: float, plane: float, axial: float, side: int) -> Array:
    """A shoulder rotation in the words of people instead of hinges.

    Args:
        elevation: Degrees; 0 hanging, 90 horizontal, 180 straight up.
        plane: Degrees; 0 to the side, 90 straight forward, above 90 across the chest, below 0
            behind.
        axial: Degrees about the upper arm itself, positive inwards.
        side: +1 left, −1 right.

    Returns:
        Quaternion `[4]`.
    """
    p = np.radians(plane)
    direction = np.array([np.sin(p), side * np.cos(p), 0.0])
    swing = np.cross([0.0, 0.0, -1.0], direction)
    twist = np.array([0.0, 0.0, -float(side)])
    return rot.multiply(
        rot.axis_angle(swing, np.radians(elevation)), rot.axis_angle(twist, np.radians(axial))
    )


def shoulder_words(quat: ArrayLike, side: int) -> tuple[float, float, float]:
    """The inverse of `shoulder_quat`: (elevation, plane, axial) in degrees.

    At elevation 0 and 180 the plane is not defined; 0 is returned and axial takes the turn.
    """
    q = np.asarray(quat, float)
    down = rot.rotate(q, [0.0, 0.0, -1.0])
    elevation = np.degrees(np.arccos(np.clip(-down[2], -1, 1)))
    flat = np.hypot(down[0], down[1])
    plane = np.degrees(np.arctan2(down[0], side * down[1])) if flat > 1e-9 else 0.0
    if plane < -90:  # behind the back is told as a negative plane, straight behind as −90
        plane = plane if plane > -135 else plane + 360
    rest = rot.multiply(rot.inverse(shoulder_quat(elevation, plane, 0.0, side)), q)
    axial = -side * np.degrees(2 * np.arctan2(rest[3], rest[0]))
    return float(elevation), float(plane), float((axial + 180) % 360 - 180)
