"""Surfaces: how deep points are in the scene, and body parts in each other.

The one thing to know: depths are positive inside. The body is its own rigid shapes: soles as boxes,
limbs as capsules.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .. import rotations as rot
from ..body import JOINT, JOINTS, PARENTS, Body
from ..clip import MotionClip
from ..pose import Pose
from ..scene import Scene, SceneObject

Array = rot.Array


def depth_in(item: SceneObject, points: Array) -> Array:
    """How far points [..., 3] are inside an object, metres; negative is the distance outside."""
    local = np.concatenate([item.local(points[..., :2]), points[..., 2:]], axis=-1)
    if item.shape in ("plane", "heightfield"):
        height = item.height(points[..., :2])
        return np.where(np.isfinite(height), height - points[..., 2], -np.inf)
    x, y, z = item.size
    up = local[..., 2] - item.position[2] - z / 2
    if item.shape == "box":
        q = np.abs(np.stack([local[..., 0], local[..., 1], up], -1)) - np.array([x, y, z]) / 2
    else:
        side = np.hypot(local[..., 0], local[..., 1]) - x / 2
        q = np.stack([side, np.abs(up) - z / 2], -1)
    outside = np.linalg.norm(np.maximum(q, 0), axis=-1)
    return -(outside + np.minimum(q.max(-1), 0))


def surface_depth(scene: Scene | None, points: Array, radius: Array | float = 0.0) -> Array:
    """How far balls of `radius` around points [..., 3] are below the floor or inside objects."""
    if scene is None:
        return radius - points[..., 2]
    depth = (radius - points[..., 2]) if scene.floor else np.full(points.shape[:-1], -np.inf)
    for item in scene.objects:
        depth = np.maximum(depth, depth_in(item, points) + radius)
    return depth


@lru_cache(maxsize=32)
def _shell(body: Body) -> tuple[Array, Array, Array]:
    """Points of the body's shapes: joint [N], place in its frame [N, 3], radius [N]."""
    joints, places, radii = [], [], []
    for geom in body.geoms:
        if geom.kind == "box":
            half = np.array(geom.size) / 2
            for corner in np.ndindex(2, 2, 2):
                joints.append(geom.joint)
                places.append(np.array(geom.a) + (np.array(corner) * 2 - 1) * half)
                radii.append(0.0)
            continue
        for point in (geom.a, geom.b):
            if point is not None:
                joints.append(geom.joint)
                places.append(np.array(point))
                radii.append(geom.size[0])
    return np.array(joints), np.array(places), np.array(radii)


def clearance(clip: MotionClip) -> Array:
    """Distance from the body's deepest point to the nearest surface, [T]; negative is below."""
    joints, local, radii = _shell(clip.body)
    points = clip.joints[:, joints] + rot.rotate(clip.rotations[:, joints], local)
    return -surface_depth(clip.scene, points, radii).max(1)


# thighs against the belly, upper arms against ribs and ears: flesh gives way, capsules do not
_SOFT = [{JOINT[f"{s}_{limb}"], JOINT[trunk]} for s in "LR" for limb, trunk in (
    ("hip", "spine1"), ("hip", "spine2"), ("shoulder", "spine3"), ("shoulder", "spine2"),
    ("collar", "neck"), ("shoulder", "neck"), ("shoulder", "head"),
)]  # fmt: skip


@lru_cache(maxsize=32)
def _pairs(body: Body) -> tuple[Array, Array]:
    """Pairs of shapes that may not meet: those apart in the relaxed pose and not neighbours."""
    clip = MotionClip(fps=30, qpos=Pose.neutral(body).to_qpos()[None], shape=body.shape)
    geoms = body.geoms
    first, second = [], []
    for i in range(len(geoms)):
        for j in range(i + 1, len(geoms)):
            a, b = geoms[i].joint, geoms[j].joint
            if a != b and a != PARENTS[b] and b != PARENTS[a] and {a, b} not in _SOFT:
                first.append(i)
                second.append(j)
    first, second = np.array(first), np.array(second)
    apart = -_pair_depth(clip, first, second)[0] > 0.005
    return first[apart], second[apart]


def _segments(clip: MotionClip) -> tuple[Array, Array, Array]:
    """Every shape as a capsule: ends [T, N, 3] twice, radius [N]."""
    starts, ends, radii = [], [], []
    for geom in clip.body.geoms:
        a = np.array(geom.a)
        if geom.kind == "box":
            long, wide, high = geom.size
            r = min(wide, high) / 2
            reach = np.array([max(long / 2 - r, 0), 0, 0])
            starts.append(a - reach)
            ends.append(a + reach)
            radii.append(r)
        else:
            starts.append(a)
            ends.append(a if geom.b is None else np.array(geom.b))
            # a head is narrower than the ball that stands for it
            radii.append(geom.size[0] * (0.78 if geom.kind == "sphere" else 1.0))
    joints = [geom.joint for geom in clip.body.geoms]
    turn, place = clip.rotations[:, joints], clip.joints[:, joints]
    return (
        place + rot.rotate(turn, np.array(starts)),
        place + rot.rotate(turn, np.array(ends)),
        np.array(radii),
    )


def _pair_depth(clip: MotionClip, first: Array, second: Array) -> Array:
    """How deep pairs of capsules are in each other, [T, P]; negative is their distance."""
    a, b, r = _segments(clip)
    p, q = a[:, first], a[:, second]
    d1, d2 = b[:, first] - p, b[:, second] - q
    s, t = _closest(p, d1, q, d2)
    gap = np.linalg.norm(p + s[..., None] * d1 - q - t[..., None] * d2, axis=-1)
    return r[first] + r[second] - gap


def _closest(p: Array, d1: Array, q: Array, d2: Array) -> tuple[Array, Array]:
    """Where on two segments p + s·d1 and q + t·d2, 0 ≤ s, t ≤ 1, they are nearest."""
    w = p - q
    a, e = (d1 * d1).sum(-1), (d2 * d2).sum(-1)
    b, c, f = (d1 * d2).sum(-1), (d1 * w).sum(-1), (d2 * w).sum(-1)
    a, e = np.maximum(a, 1e-12), np.maximum(e, 1e-12)
    det = a * e - b * b
    s = np.where(det > 1e-10 * a * e, np.clip((b * f - c * e) / np.maximum(det, 1e-18), 0, 1), 0.0)
    t = (b * s + f) / e
    clipped = np.clip(t, 0, 1)
    s = np.where(t == clipped, s, np.clip((b * clipped - c) / a, 0, 1))
    return s, clipped


def self_depth(clip: MotionClip) -> tuple[Array, list[tuple[str, str]]]:
    """Deepest meeting of two body parts in each frame, metres [T] ≥ 0, and which two."""
    first, second = _pairs(clip.body)
    depth = _pair_depth(clip, first, second)
    worst = depth.argmax(1)
    geoms = clip.body.geoms
    names = [(JOINTS[geoms[first[w]].joint], JOINTS[geoms[second[w]].joint]) for w in worst]
    return np.maximum(depth.max(1), 0), names
