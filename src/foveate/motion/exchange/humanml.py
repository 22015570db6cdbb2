"""HumanML3D features: 263 numbers a frame, and the way back to joint positions.

The one thing to know: the features are defined by the published data set's code, in the file frame
(Y up, Z forward, X left) at 20 fps, for any 22-joint skeleton. We keep our own proportions unless
target offsets are given; scores of an evaluator trained on another skeleton are then not
comparable.

One row per frame t, from T frames T − 1 rows: root yaw velocity as a half-angle 1, root velocity in
the root's heading 2, root height 1, joint positions 21×3, joint rotations 21×6, joint velocities
22×3, foot contacts 4. Source: Guo et al., *Generating Diverse and Natural 3D Human Motions from
Text*, CVPR 2022, section 5.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .. import rotations as rot
from ..body import PARENTS
from .skeletal import SkeletalMotion, resampled

FPS = 20.0
WIDTH = 263
FEET = ((7, 10), (8, 11))  # left ankle and toes, right ankle and toes
STILL = 0.002  # squared displacement of a frame below which a foot stands, m²
CHAINS = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)
RAW = np.array(
    [
        [0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0],
        [0, -1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1],
        [0, -1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0], [0, -1, 0],
    ],
    float,
)  # fmt: skip
"""Direction of each joint from its parent in the reference pose of the features."""


def features(motion: SkeletalMotion, offsets: np.ndarray | None = None) -> np.ndarray:
    """The 263 features of a motion of our 22 joints.

    Args:
        motion: File frame, metres.
        offsets: Bone vectors of the skeleton to retarget to, metres, [22, 3]; only their lengths
            count. Our own proportions if None.

    Returns:
        [T − 1, 263] float32 at 20 fps.

    Raises:
        ValueError: Fewer than two frames at 20 fps, or offsets of another shape.
    """
    places, _ = resampled(motion, FPS).world()
    if len(places) < 2:
        raise ValueError(f"the motion has {len(places)} frame at 20 fps; expected at least 2")
    return from_joints(places if offsets is None else _fitted(places, np.asarray(offsets, float)))


def from_joints(places: np.ndarray) -> np.ndarray:
    """The features of joint positions [T, 22, 3] at 20 fps, file frame."""
    places = _faced(places)
    heading, local_turns = _chain_turns(places)
    ahead = rot.rotate(heading[:, None], places - places[:, :1] * [1, 0, 1])  # [T, 22, 3]
    step = places[1:] - places[:-1]
    spin = rot.multiply(heading[1:], rot.inverse(heading[:-1]))
    half = np.arcsin(np.clip(spin[:, 2:3] * np.sign(spin[:, :1] + 1e-12), -1, 1))
    slide = rot.rotate(heading[1:], step[:, 0])[:, [0, 2]]
    velocity = rot.rotate(heading[:-1, None], step)
    still = (step**2).sum(-1) < STILL
    feet = np.concatenate([still[:, list(pair)] for pair in FEET], axis=1)
    six = rot.to_matrix(local_turns)[..., :2]  # first two columns, one after the other
    six = np.swapaxes(six, -1, -2).reshape(len(places), 22, 6)
    rows = [
        half,
        slide,
        places[:-1, 0, 1:2],
        ahead[:-1, 1:].reshape(len(step), -1),
        six[:-1, 1:].reshape(len(step), -1),
        velocity.reshape(len(step), -1),
        feet,
    ]
    return np.concatenate(rows, axis=1).astype(np.float32)


def recover(found: np.ndarray) -> np.ndarray:
    """Joint positions of features: the inverse of `from_joints` up to where it starts.

    Args:
        found: [N, 263].

    Returns:
        [N, 22, 3] metres, file frame, starting over the origin and facing +Z.
    """
    found = np.asarray(found, float)
    if found.ndim != 2 or found.shape[1] != WIDTH:
        raise ValueError(f"features have shape {found.shape}; expected [N, {WIDTH}]")
    angle = np.concatenate([[0.0], np.cumsum(found[:-1, 0])])
    zero = np.zeros_like(angle)
    heading = np.stack([np.cos(angle), zero, np.sin(angle), zero], axis=1)
    slide = np.zeros((len(found), 3))
    slide[1:, [0, 2]] = found[:-1, 1:3]
    root = np.cumsum(rot.rotate(rot.inverse(heading), slide), axis=0)
    places = rot.rotate(rot.inverse(heading)[:, None], found[:, 4:67].reshape(-1, 21, 3))
    places[..., [0, 2]] += root[:, None, [0, 2]]
    root[:, 1] = found[:, 3]
    return np.concatenate([root[:, None], places], axis=1)


def _faced(places: np.ndarray) -> np.ndarray:
    """On the floor, starting over the origin, facing +Z in the first frame."""
    places = places.copy()
    places[..., 1] -= places[..., 1].min()
    places -= places[0, 0] * [1, 0, 1]
    turn = _between(_forward(places[:1]), np.array([[0.0, 0.0, 1.0]]))
    return rot.rotate(turn[:, None], places)


def _forward(places: np.ndarray) -> np.ndarray:
    """Unit vector [T, 3] across which hips and shoulders lie, level."""
    across = places[:, 2] - places[:, 1] + places[:, 17] - places[:, 16]
    forward = np.cross([0.0, 1.0, 0.0], across)
    return forward / np.maximum(np.linalg.norm(forward, axis=1, keepdims=True), 1e-9)


def _chain_turns(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World → heading [T, 4], and the rotation of each joint in its chain [T, 22, 4]."""
    # the smoothing is the data set's: headings of 20 fps motion, a second wide
    forward = gaussian_filter1d(_forward(places), 20, axis=0, mode="nearest")
    forward /= np.maximum(np.linalg.norm(forward, axis=1, keepdims=True), 1e-9)
    heading = _between(forward, np.broadcast_to([0.0, 0.0, 1.0], forward.shape))
    turns = np.tile(rot.IDENTITY, (len(places), 22, 1))
    turns[:, 0] = heading
    for chain in CHAINS:
        above = heading
        for start, end in pairwise(chain):
            bone = places[:, end] - places[:, start]
            bone /= np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9)
            world = _between(np.broadcast_to(RAW[end], bone.shape), bone)
            turns[:, end] = rot.multiply(rot.inverse(above), world)
            above = world
    return heading, turns


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shortest rotations [T, 4] that take unit vectors a [T, 3] to b [T, 3]."""
    w = 1 + (a * b).sum(-1, keepdims=True)
    axis = np.cross(a, b)
    opposite = w[:, 0] < 1e-9
    if opposite.any():  # any axis across a will do
        helper = np.where(np.abs(a[:, :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        axis = np.where(opposite[:, None], np.cross(a, helper), axis)
        w = np.where(opposite[:, None], 0.0, w)
    return rot.unit(np.concatenate([w, axis], axis=1))


def _fitted(places: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The same directions on bones of other lengths; the root's path scales with the legs."""
    if offsets.shape != (22, 3):
        raise ValueError(f"offsets have shape {offsets.shape}; expected (22, 3)")
    lengths = np.linalg.norm(offsets, axis=1)
    legs = [4, 7]
    own = np.linalg.norm(places[0, legs] - places[0, [1, 4]], axis=1).sum()
    fitted = np.empty_like(places)
    fitted[:, 0] = places[:, 0] * (lengths[legs].sum() / own)
    for joint in range(1, 22):
        bone = places[:, joint] - places[:, PARENTS[joint]]
        bone /= np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9)
        fitted[:, joint] = fitted[:, PARENTS[joint]] + bone * lengths[joint]
    return fitted
