"""Rotations as arrays: unit quaternions (w, x, y, z) and rotation vectors, any leading shape.

The one thing to know: quaternions rotate from the child frame to the parent frame, so a chain of
joints multiplies from the root outwards. SciPy converts to and from matrices and Euler angles; the
rest is small enough for NumPy, where a whole clip is one array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
FILE_BASIS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""Simulation frame (x forward, y left, z up) to file frame (X left, Y up, Z forward)."""


def unit(q: ArrayLike) -> Array:
    """Quaternions scaled to length 1, `[..., 4]`."""
    q = np.asarray(q, float)
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """The product a·b: first b, then a; `[..., 4]` and `[..., 4]` broadcast."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, float), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, float), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def inverse(q: ArrayLike) -> Array:
    """The inverse of unit quaternions, `[..., 4]`."""
    return np.asarray(q, float) * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(q: ArrayLike, v: ArrayLike) -> Array:
    """Vectors `[..., 3]` turned by unit quaternions `[..., 4]`; leading shapes broadcast."""
    q, v = np.asarray(q, float), np.asarray(v, float)
    axis = q[..., 1:]
    twice = 2.0 * np.cross(axis, v)
    return v + q[..., :1] * twice + np.cross(axis, twice)


def exp(vector: ArrayLike) -> Array:
    """Rotation vectors (axis times angle, radians) `[..., 3]` to quaternions `[..., 4]`."""
    vector = np.asarray(vector, float)
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    # np.sinc is sin(πx)/(πx), which is 1 at 0: no special case for small angles
    return np.concatenate([np.cos(angle / 2), vector * 0.5 * np.sinc(angle / 2 / np.pi)], axis=-1)


def log(q: ArrayLike) -> Array:
    """Quaternions `[..., 4]` to the shortest rotation vectors `[..., 3]`, |v| ≤ π."""
    q = np.asarray(q, float)
    q = np.where(q[..., :1] < 0, -q, q)
    length = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(length, q[..., :1])
    return q[..., 1:] * np.where(length > 1e-12, angle / np.maximum(length, 1e-12), 2.0)


def axis_angle(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Quaternions of turns by `angle` radians `[...]` about unit axes `[..., 3]`."""
    return exp(np.asarray(axis, float) * np.asarray(angle, float)[..., None])


def slerp(a: ArrayLike, b: ArrayLike, s: ArrayLike) -> Array:
    """From a (s = 0) to b (s = 1) on the shorter arc; s broadcasts over the leading shape."""
    return multiply(a, exp(np.asarray(s, float)[..., None] * log(multiply(inverse(a), b))))


def angle_between(a: ArrayLike, b: ArrayLike) -> Array:
    """Angle from a to b in radians, 0 … π, `[...]`."""
    return np.linalg.norm(log(multiply(inverse(a), b)), axis=-1)


def continuous(q: ArrayLike) -> Array:
    """The same rotations with signs such that neighbours along axis 0 lie in one hemisphere."""
    q = np.array(q, float)
    flips = np.sum(q[1:] * q[:-1], axis=-1) < 0
    sign = np.where(np.cumsum(flips, axis=0) % 2 == 1, -1.0, 1.0)
    q[1:] *= sign[..., None]
    return q


def to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices `[..., 3, 3]` of quaternions `[..., 4]`."""
    q = np.asarray(q, float)
    matrices = Rotation.from_quat(q.reshape(-1, 4), scalar_first=True).as_matrix()
    return matrices.reshape(*q.shape[:-1], 3, 3)


def from_matrix(matrix: ArrayLike) -> Array:
    """Quaternions `[..., 4]`, w ≥ 0, of rotation matrices `[..., 3, 3]`."""
    matrix = np.asarray(matrix, float)
    flat = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_quat(canonical=True, scalar_first=True)
    return flat.reshape(*matrix.shape[:-2], 4)


def to_euler(q: ArrayLike, order: str) -> Array:
    """Euler angles in radians `[..., 3]`; upper-case `order` is intrinsic (SciPy's words)."""
    q = np.asarray(q, float)
    flat = Rotation.from_quat(q.reshape(-1, 4), scalar_first=True)
    return flat.as_euler(order, suppress_warnings=True).reshape(*q.shape[:-1], 3)


def from_euler(angles: ArrayLike, order: str) -> Array:
    """Quaternions `[..., 4]` of Euler angles in radians `[..., 3]`."""
    angles = np.asarray(angles, float)
    flat = Rotation.from_euler(order, angles.reshape(-1, 3)).as_quat(scalar_first=True)
    return flat.reshape(*angles.shape[:-1], 4)


def yaw_of(q: ArrayLike) -> Array:
    """Heading in radians `[...]`: where the forward axis points on the floor.

    When forward is nearly vertical (lying), the up axis says where the head is, and so the heading.
    """
    forward, up = rotate(q, [1.0, 0.0, 0.0]), rotate(q, [0.0, 0.0, 1.0])
    flat = np.hypot(forward[..., 0], forward[..., 1])
    other = -np.sign(forward[..., 2])[..., None] * up  # face up: the head points backwards
    use = np.where((flat > 0.2)[..., None], forward, other)
    return np.arctan2(use[..., 1], use[..., 0])


def yaw_quat(angle: ArrayLike) -> Array:
    """Quaternions of turns about the vertical, radians `[...]` → `[..., 4]`."""
    half = np.asarray(angle, float) / 2
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def mirror(q: ArrayLike) -> Array:
    """Rotations seen in a mirror that swaps left and right (y → −y), `[..., 4]`."""
    return np.asarray(q, float) * np.array([1.0, -1.0, 1.0, -1.0])


def to_file(v: ArrayLike) -> Array:
    """Points `[..., 3]` of the simulation frame in the file frame: (y, z, x)."""
    return np.asarray(v, float)[..., [1, 2, 0]]


def from_file(v: ArrayLike) -> Array:
    """Points `[..., 3]` of the file frame in the simulation frame."""
    return np.asarray(v, float)[..., [2, 0, 1]]


def quat_to_file(q: ArrayLike) -> Array:
    """Rotations `[..., 4]` of the simulation frame in the file frame, C R Cᵀ."""
    return np.asarray(q, float)[..., [0, 2, 3, 1]]


def quat_from_file(q: ArrayLike) -> Array:
    """Rotations `[..., 4]` of the file frame in the simulation frame, Cᵀ R C."""
    return np.asarray(q, float)[..., [0, 3, 1, 2]]
