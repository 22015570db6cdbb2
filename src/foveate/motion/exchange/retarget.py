"""From any skeleton's motion to our body: names, proportions, rotations.

The one thing to know: world rotations are carried over relative to the two rest poses, then knees
and elbows, which bend about one axis here, get their thighs and upper arms turned so that the bend
lies in that axis. The body's proportions are fitted to the file, so that feet stay where they were.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import JOINT, JOINTS, PARENTS, Body, BodyShape, body_of
from ..clip import MotionClip, Report
from ..kinematics import fk, join_qpos, quats_to_hinges
from .names import recognise
from .skeletal import T_POSE, SkeletalMotion, joint_quats

Array = rot.Array
SOLES = tuple(
    f"{s}_{end}_{edge}" for s in "LR" for end in ("heel", "toe") for edge in ("in", "out")
)


def to_clip(motion: SkeletalMotion, text: str = "") -> MotionClip:
    """A clip of our body from any humanoid skeleton.

    Raises:
        ValueError: The joints' names belong to no known family.
    """
    family, found = recognise(motion.names)
    if sorted(motion.names) == sorted(JOINTS):
        return _own(motion, found, text)
    _complete_trunk(motion, found)
    shape = fitted_shape(_lengths(motion, found))
    body = body_of(shape)
    places, turns = motion.world()
    rest = _rest(motion)
    facing = _facing(rest, found)
    turned = rot.from_file(places)
    goal = np.empty((len(turns), 22, 4))
    for joint in range(22):
        if joint not in found:
            goal[:, joint] = goal[:, PARENTS[joint]]
            continue
        align = _align(joint, rest, found, motion, body, facing)
        goal[:, joint] = rot.multiply(rot.quat_from_file(turns[:, found[joint]]), align)
    bend_in_plane(goal, turned, found)
    local = local_turns(goal)
    hinges = hinges_along(local)
    root = turned[:, found[0]].copy()
    notes = [f"retargeted from a skeleton of {len(motion.names)} joints ({family} names)"]
    root += _settle(root, goal, local, turned, found, body)
    qpos = join_qpos(root, rot.continuous(goal[:, 0]), hinges)
    qpos, shift = on_floor(qpos, body)
    notes.append(f"moved vertically by {100 * shift:.1f} cm so that the feet meet the floor")
    return MotionClip(
        fps=motion.fps,
        qpos=qpos,
        shape=shape,
        source="imported",
        text=text,
        report=Report(notes=notes),
    )


def _own(motion: SkeletalMotion, found: dict[int, int], text: str) -> MotionClip:
    """Our own 22 joints, in whatever order: nothing to guess."""
    order = [found[joint] for joint in range(22)]
    sorted_ = replace(
        motion,
        names=list(JOINTS),
        parents=list(PARENTS),
        offsets=motion.offsets[order],
        turns=motion.turns[:, order],
    )
    shape = fitted_shape(_lengths(motion, found))
    root, turn, local = joint_quats(sorted_)
    qpos = join_qpos(root, rot.continuous(turn), hinges_along(local))
    return MotionClip(fps=motion.fps, qpos=qpos, shape=shape, source="imported", text=text)


def fitted_shape(bone: dict[int, float]) -> BodyShape:
    """The body whose bones come nearest to the given lengths (our joint → metres)."""

    def both(*names: str) -> float:
        found = [bone[JOINT[f"{s}_{n}"]] for n in names for s in "LR" if JOINT[f"{s}_{n}"] in bone]
        return sum(found) / 2

    legs = both("knee", "ankle")
    trunk = sum(bone.get(JOINT[n], 0.0) for n in ("spine1", "spine2", "spine3", "neck"))
    # legs = 0.491·leg − 0.03/1.72·h and trunk = (0.875·h − 0.53·leg)·0.295/0.345, in h and leg
    if trunk > 0.1:
        a = np.array([[-0.03 / 1.72, 0.491], [0.875 * 0.295 / 0.345, -0.53 * 0.295 / 0.345]])
        height, leg = np.linalg.solve(a, [legs, trunk])
    else:
        height = leg = legs / (0.491 - 0.03 / 1.72)
    height = float(np.clip(height, 0.8, 2.5))
    arms, wide = both("elbow", "wrist"), bone.get(JOINT["L_shoulder"], 0.0)
    high = 0.02 * (0.875 * height - 0.53 * leg) / 0.345  # the shoulder lies above the collar joint
    side = float(np.sqrt(max(wide**2 - high**2, 0))) or 0.07 * height

    def ratio(value: float, low: float, high: float) -> float:
        return float(np.clip(round(value, 5), low, high))

    return BodyShape(
        height=round(height, 5),
        leg_ratio=ratio(leg / height, 0.8, 1.2),
        arm_ratio=ratio(arms / (0.322 * height), 0.7, 1.3) if arms else 1.0,
        shoulder_width=ratio(side / (0.07 * height), 0.7, 1.4),
    )


def _lengths(motion: SkeletalMotion, found: dict[int, int]) -> dict[int, float]:
    """Our joint → distance from our parent joint in the file's rest pose."""
    rest = _rest(motion)
    return {
        j: float(np.linalg.norm(rest[found[j]] - rest[found[PARENTS[j]]]))
        for j in found
        if j and PARENTS[j] in found
    }


def _rest(motion: SkeletalMotion) -> Array:
    place = np.zeros_like(motion.offsets)
    for joint, parent in enumerate(motion.parents):
        if parent >= 0:
            place[joint] = place[parent] + motion.offsets[joint]
    return place


def _complete_trunk(motion: SkeletalMotion, found: dict[int, int]) -> None:
    """Spread our three spine joints over whatever lies between the pelvis and the shoulders."""

    def line(joint: int) -> list[int]:
        chain = []
        while joint >= 0:
            chain.append(joint)
            joint = motion.parents[joint]
        return chain

    left, right = (line(found[JOINT[f"{s}_shoulder"]]) for s in "LR")
    top = next((j for j in left if j in right), found[0])
    chain = [joint for joint in reversed(line(top)) if found[0] in line(joint)[1:]]
    for name in ("spine1", "spine2", "spine3"):
        found.pop(JOINT[name], None)
    if chain:
        found[JOINT["spine3"]] = chain[-1]
    if len(chain) > 1:
        found[JOINT["spine1"]] = chain[0]
    if len(chain) > 2:
        found[JOINT["spine2"]] = chain[len(chain) // 2]


def _facing(rest: Array, found: dict[int, int]) -> Array:
    """Turn about the vertical that takes our rest pose's facing to the file's, simulation frame."""
    across = rot.from_file(rest[found[1]] - rest[found[2]])
    return rot.yaw_quat(np.arctan2(-across[0], across[1]))


def _align(
    joint: int,
    rest: Array,
    found: dict[int, int],
    motion: SkeletalMotion,
    body: Body,
    facing: Array,
) -> Array:
    """What our joint's frame at rest is in the file's rest pose, [4]."""
    if joint in (0, 3, 6, 9, 12, 15):
        return facing
    child = next((c for c in range(22) if PARENTS[c] == joint and c in found), None)
    if child is not None:
        bone = rest[found[child]] - rest[found[joint]]
    elif found[joint] in motion.ends:
        bone = motion.ends[found[joint]]
    else:
        return _align(PARENTS[joint], rest, found, motion, body, facing)
    # first to the T-pose, where most files are near and the shortest turn is a small one
    ours = rot.to_file(body.offsets[child]) if child is not None else None
    tee = rot.multiply(facing, rot.inverse(T_POSE[joint]))
    if ours is None or np.linalg.norm(bone) < 1e-6:
        return tee
    now = rot.rotate(tee, rot.from_file(ours))
    if joint in (7, 8):  # a foot's pitch depends on where its toe joint is; keep soles level
        return facing
    if joint in (13, 14):
        return tee
    return rot.multiply(shortest(now[None], rot.from_file(bone)[None])[0], tee)


def bend_in_plane(goal: Array, places: Array, found: dict[int, int]) -> None:
    """Turn thighs and upper arms so that knees and elbows bend about their one axis, in place."""
    for upper, lower, end, sign in (
        *((j, j + 3, j + 6, 1.0) for j in (1, 2)),
        *((j, j + 2, j + 4, -1.0) for j in (16, 17)),
    ):
        if not {upper, lower, end} <= set(found):
            continue
        a = places[:, found[lower]] - places[:, found[upper]]
        b = places[:, found[end]] - places[:, found[lower]]
        a, b = a / length(a)[:, None], b / length(b)[:, None]
        axis = np.cross(a, b) * sign
        bent = np.degrees(np.arcsin(np.clip(length(axis), 0, 1)))
        bent = np.where((a * b).sum(1) < 0, 180 - bent, bent)
        hint = rot.rotate(goal[:, upper], [0.0, 1.0, 0.0])
        axis = axis / np.maximum(length(axis), 1e-9)[:, None]
        weight = np.clip((bent - 5) / 15, 0, 1)[:, None]
        axis = axis * weight + hint * (1 - weight)
        goal[:, upper] = frame(up=-a, left=axis)
        goal_lower = frame(up=-b, left=rot.rotate(goal[:, upper], [0.0, 1.0, 0.0]))
        twist = rot.multiply(rot.inverse(goal_lower), goal[:, lower])
        if sign < 0:  # the forearm may turn about itself, a shank may not
            only = rot.unit(twist * [1, 0, 0, 1] + [1e-12, 0, 0, 0])
            goal_lower = rot.multiply(goal_lower, only)
        goal[:, lower] = goal_lower


def frame(up: Array, left: Array) -> Array:
    """Rotations [T, 4] whose z axis is `up` and whose y axis lies nearest to `left`."""
    z = up / np.maximum(length(up), 1e-9)[:, None]
    y = left - z * (left * z).sum(1, keepdims=True)
    y /= np.maximum(length(y), 1e-9)[:, None]
    x = np.cross(y, z)
    bad = length(x) < 0.5  # left was parallel to up: nothing to go by
    matrix = np.stack([x, y, z], axis=2)
    matrix[bad] = np.eye(3)
    return rot.from_matrix(matrix)


def shortest(a: Array, b: Array) -> Array:
    """Shortest rotations [T, 4] from vectors a to vectors b [T, 3]."""
    a = a / np.maximum(length(a), 1e-9)[:, None]
    b = b / np.maximum(length(b), 1e-9)[:, None]
    axis = np.cross(a, b)
    sine, cosine = length(axis), (a * b).sum(1)
    opposite = (sine < 1e-9) & (cosine < 0)
    axis[opposite] = np.cross(a[opposite], [0.3, 0.5, 0.8])
    angle = np.where(opposite, np.pi, np.arctan2(sine, cosine))
    return rot.axis_angle(axis / np.maximum(length(axis), 1e-12)[:, None], angle)


def length(v: Array) -> Array:
    return np.linalg.norm(v, axis=-1)


def local_turns(goal: Array) -> Array:
    above = goal[:, [PARENTS[j] for j in range(1, 22)]]
    return rot.multiply(rot.inverse(above), goal[:, 1:])


def hinges_along(local: Array) -> Array:
    """Hinge angles [T, 47] of joint rotations [T, 21, 4], each frame near the one before."""
    hinges = quats_to_hinges(local)
    jumps = np.flatnonzero(np.abs(np.diff(hinges, axis=0)).max(1) > 0.5)
    if len(jumps):
        for t in range(jumps[0] + 1, len(local)):
            hinges[t] = quats_to_hinges(local[t], hinges[t - 1])
    return hinges


def _settle(
    root: Array, goal: Array, local: Array, places: Array, found: dict[int, int], body: Body
) -> Array:
    """One shift [3] that brings our ankles, on average, to the file's."""
    feet = [j for j in (7, 8) if j in found]
    ours = fk(root, goal[:, 0], local, body)[0][:, feet]
    theirs = places[:, [found[j] for j in feet]]
    return (theirs - ours).mean((0, 1)) if feet else np.zeros(3)


def on_floor(qpos: Array, body: Body) -> tuple[Array, float]:
    """Shifted so that the soles' low points lie on the floor in most frames."""
    clip = MotionClip(fps=30, qpos=qpos, shape=body.shape)
    lowest = clip.sites(*SOLES)[..., 2].min(1)
    shift = -float(np.percentile(lowest, 10))
    qpos = qpos.copy()
    qpos[:, 2] += shift
    return qpos, shift
