"""Where rays from the eye meet round cones, ellipsoids, boxes, cylinders and triangles.

The one thing to know: everything is in the camera's frame with the eye at the origin, and a ray is
t·(x, y, 1): t is the depth itself, so depths compare directly. Each function returns t (infinite
where the ray misses) and a function that gives unit normals for the rays that hit. Rays form a
grid, so a product with a vector is a sum of a row and a column.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

Hits = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]
"""Depth [N], and `normals(index [M]) -> [M, 3]`."""

MISS = np.float32(np.inf)


class Rays:
    """The rays (x_j, y_i, 1) of a grid of pixels, row by row.

    Args:
        x: Slopes to the right, [W].
        y: Slopes downwards, [H].
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = np.asarray(x, np.float32), np.asarray(y, np.float32)

    def dot(self, v: np.ndarray) -> np.ndarray:
        """Products with a vector, [H·W]."""
        v = np.asarray(v, np.float32)
        return ((self.y * v[1] + v[2])[:, None] + self.x * v[0]).reshape(-1)

    @cached_property
    def squared(self) -> np.ndarray:
        """Squared lengths, [H·W]."""
        return ((self.y * self.y + 1)[:, None] + self.x * self.x).reshape(-1)

    def at(self, index: np.ndarray) -> np.ndarray:
        """Some of the rays, [M, 3]."""
        row, column = np.divmod(index, len(self.x))
        return np.stack([self.x[column], self.y[row], np.ones(len(index), np.float32)], axis=1)


def _near_root(a: np.ndarray, b: np.ndarray, c: float) -> np.ndarray:
    """The smaller root of a t² + 2 b t + c, infinite where there is none or it lies behind."""
    disc = b * b - a * np.float32(c)
    ok = (disc > 0) & (a > 1e-9)
    t = (-b - np.sqrt(np.where(ok, disc, 0))) / np.where(ok, a, 1)
    return np.where(ok & (t > 1e-3), t, MISS)


def sphere(rays: Rays, centre: np.ndarray, radius: float) -> Hits:
    """A ball."""
    t = _near_root(rays.squared, -rays.dot(centre), float(centre @ centre - radius**2))
    return t, lambda at: (rays.at(at) * t[at, None] - centre) / np.float32(radius)


def round_cone(rays: Rays, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> Hits:
    """The hull of two balls: a capsule when the radii agree.

    With u the unit axis, L its length, s = (ra − rb)/L and c² = 1 − s², a point at x along the axis
    and ρ from it lies on the mantle where c·ρ + s·x = ra; squaring gives a quadratic in t. The
    mantle is valid between its circles of contact, s·ra ≤ x ≤ s·ra + L·c².
    """
    axis = b - a
    length = float(np.sqrt(axis @ axis))
    if length <= abs(ra - rb) + 1e-6:  # one ball contains the other
        return sphere(rays, a, ra) if ra >= rb else sphere(rays, b, rb)
    u = (axis / np.float32(length)).astype(np.float32)
    s = (ra - rb) / length
    cc = 1 - s * s
    along, towards = rays.dot(u), rays.dot(a)
    au, aa = float(a @ u), float(a @ a)
    t = _near_root(
        np.float32(cc) * rays.squared - along * along,
        np.float32(-cc) * towards + along * np.float32(au + ra * s),
        cc * aa - au * au - ra * ra - 2 * ra * s * au,
    )
    with np.errstate(invalid="ignore"):  # infinity times nothing, where the ray misses anyway
        x = t * along - np.float32(au)
    t = np.where((x >= s * ra) & (x <= s * ra + length * cc), t, MISS)
    ta = _near_root(rays.squared, -towards, aa - ra**2)
    tb = sphere(rays, b, rb)[0]
    best = np.minimum(np.minimum(t, ta), tb)

    def normals(at: np.ndarray) -> np.ndarray:
        p = rays.at(at) * best[at, None]
        # the ball on the axis that touches the surface here
        on_axis = np.clip((p @ u - np.float32(au + ra * s)) / np.float32(length * cc), 0, 1)
        n = p - (a + on_axis[:, None] * axis)
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    return best, normals


def ellipsoid(rays: Rays, centre: np.ndarray, turn: np.ndarray, radii: np.ndarray) -> Hits:
    """An ellipsoid whose half-axes `radii` [3] lie along the columns of `turn` [3, 3]."""
    to_ball = (turn / radii).T.astype(np.float32)
    o = to_ball @ centre
    d = [rays.dot(row) for row in to_ball]
    squared = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    t = _near_root(squared, -rays.dot(to_ball.T @ o), float(o @ o) - 1)

    def normals(at: np.ndarray) -> np.ndarray:
        n = (rays.at(at) @ to_ball.T * t[at, None] - o) @ to_ball
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    return t, normals


def box(rays: Rays, centre: np.ndarray, turn: np.ndarray, half: np.ndarray) -> Hits:
    """A box with half-edges `half` [3] along the columns of `turn` [3, 3]."""
    d = np.stack([rays.dot(column) for column in turn.T], axis=1)
    o = (turn.T @ centre).astype(np.float32)
    inverse = 1 / np.where(np.abs(d) < 1e-8, np.float32(1e-8), d)
    middle, reach = o * inverse, np.abs(inverse) * half.astype(np.float32)
    enter = middle - reach
    face = enter.argmax(1)
    near = enter.max(1)
    t = np.where((near <= (middle + reach).min(1)) & (near > 1e-3), near, MISS)

    def normals(at: np.ndarray) -> np.ndarray:
        side = face[at]
        return turn.T[side].astype(np.float32) * -np.sign(d[at, side])[:, None]

    return t, normals


def cylinder(rays: Rays, centre: np.ndarray, turn: np.ndarray, radius: float, half: float) -> Hits:
    """A cylinder along the third column of `turn` [3, 3], with flat ends."""
    d = np.stack([rays.dot(column) for column in turn.T], axis=1)
    o = (turn.T @ centre).astype(np.float32)
    flat = (d[:, :2] ** 2).sum(1)
    mantle = _near_root(flat, -(d[:, :2] @ o[:2]), float(o[:2] @ o[:2]) - radius**2)
    z = np.where(np.isfinite(mantle), mantle, 0) * d[:, 2] - o[2]
    mantle = np.where(np.abs(z) <= half, mantle, MISS)
    dz = np.where(np.abs(d[:, 2]) < 1e-8, np.float32(1e-8), d[:, 2])
    cap = (o[2] - np.sign(dz) * np.float32(half)) / dz
    off = ((d[:, :2] * cap[:, None] - o[:2]) ** 2).sum(1)
    cap = np.where((off <= radius**2) & (cap > 1e-3), cap, MISS)
    best = np.minimum(mantle, cap)

    def normals(at: np.ndarray) -> np.ndarray:
        p = d[at] * best[at, None] - o
        n = np.concatenate([p[:, :2] / np.float32(radius), np.zeros((len(at), 1), p.dtype)], 1)
        ends = cap[at] <= mantle[at]
        n[ends] = 0
        n[ends, 2] = -np.sign(dz[at][ends])
        return n @ turn.T.astype(np.float32)

    return best, normals


def triangle(rays: Rays, corners: np.ndarray) -> Hits:
    """One triangle, seen from both sides; `corners` [3, 3]."""
    a, b, c = corners.astype(np.float32)
    n = np.cross(b - a, c - a)
    facing = rays.dot(n)
    t = float(a @ n) / np.where(np.abs(facing) < 1e-12, np.float32(1e-12), facing)
    inside = t > 1e-3
    for start, end in ((a, b), (b, c), (c, a)):
        # (end − start) × (t·ray − start) · n = t·ray·w − start·w, with w = n × (end − start)
        w = np.cross(n, end - start)
        inside &= t * rays.dot(w) >= start @ w
    t = np.where(inside, t, MISS)
    unit = n / max(float(np.linalg.norm(n)), 1e-12)
    return t, lambda at: -np.sign(facing[at])[:, None] * unit
