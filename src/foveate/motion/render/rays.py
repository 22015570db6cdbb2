"""Where rays from the eye meet round cones, ellipsoids, boxes, cylinders and triangles.

The one thing to know: everything is in the camera's frame with the eye at the origin, and a ray is
t·(x, y, 1): t is the depth itself, so depths compare directly. Each function returns t (infinite
where the ray misses) and a function that gives unit normals for the rays that hit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Hits = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]
"""Depth [N], and `normals(index [M]) -> [M, 3]`."""

MISS = np.float32(np.inf)


def _near_root(a: np.ndarray, b: np.ndarray, c: float) -> np.ndarray:
    """The smaller root of a t² + 2 b t + c, infinite where there is none or it lies behind."""
    disc = b * b - a * c
    ok = (disc > 0) & (a > 1e-9)
    t = (-b - np.sqrt(np.where(ok, disc, 0))) / np.where(ok, a, 1)
    return np.where(ok & (t > 1e-3), t, MISS)


def sphere(rays: np.ndarray, squared: np.ndarray, centre: np.ndarray, radius: float) -> Hits:
    """A ball. `rays` [N, 3] with last entry 1, `squared` [N] their squared lengths."""
    t = _near_root(squared, -(rays @ centre), float(centre @ centre - radius**2))
    return t, lambda at: (rays[at] * t[at, None] - centre) / np.float32(radius)


def round_cone(
    rays: np.ndarray, squared: np.ndarray, a: np.ndarray, b: np.ndarray, ra: float, rb: float
) -> Hits:
    """The hull of two balls: a capsule when the radii agree.

    With u the unit axis, L its length, s = (ra − rb)/L and c² = 1 − s², a point at x along the axis
    and ρ from it lies on the mantle where c·ρ + s·x = ra; squaring gives a quadratic in t. The
    mantle is valid between its circles of contact, s·ra ≤ x ≤ s·ra + L·c².
    """
    axis = b - a
    length = float(np.sqrt(axis @ axis))
    if length <= abs(ra - rb) + 1e-6:  # one ball contains the other
        return sphere(rays, squared, a, ra) if ra >= rb else sphere(rays, squared, b, rb)
    u = (axis / np.float32(length)).astype(np.float32)
    s = (ra - rb) / length
    cc = 1 - s * s
    along, towards = rays @ u, rays @ a
    au, aa = float(a @ u), float(a @ a)
    t = _near_root(
        np.float32(cc) * squared - along * along,
        np.float32(-cc) * towards + along * np.float32(au + ra * s),
        cc * aa - au * au - ra * ra - 2 * ra * s * au,
    )
    x = np.where(np.isfinite(t), t, 0) * along - np.float32(au)
    t = np.where((x >= s * ra) & (x <= s * ra + length * cc), t, MISS)
    ta, tb = sphere(rays, squared, a, ra)[0], sphere(rays, squared, b, rb)[0]
    best = np.minimum(np.minimum(t, ta), tb)

    def normals(at: np.ndarray) -> np.ndarray:
        p = rays[at] * best[at, None]
        # the ball whose contact circle is nearest along the axis, or the mantle between them
        on_axis = np.clip((p @ u - np.float32(au + ra * s)) / np.float32(length * cc), 0, 1)
        centre = a + on_axis[:, None] * axis
        n = p - centre
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    return best, normals


def ellipsoid(
    rays: np.ndarray, squared: np.ndarray, centre: np.ndarray, turn: np.ndarray, radii: np.ndarray
) -> Hits:
    """An ellipsoid whose half-axes `radii` [3] lie along the columns of `turn` [3, 3]."""
    to_ball = (turn / radii).T.astype(np.float32)
    d, o = rays @ to_ball.T, to_ball @ centre
    t = _near_root((d * d).sum(1), -(d @ o), float(o @ o) - 1)

    def normals(at: np.ndarray) -> np.ndarray:
        n = (d[at] * t[at, None] - o) @ to_ball
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    return t, normals


def box(
    rays: np.ndarray, squared: np.ndarray, centre: np.ndarray, turn: np.ndarray, half: np.ndarray
) -> Hits:
    """A box with half-edges `half` [3] along the columns of `turn` [3, 3]."""
    d, o = rays @ turn.astype(np.float32), (turn.T @ centre).astype(np.float32)
    inverse = 1 / np.where(np.abs(d) < 1e-8, np.float32(1e-8), d)
    middle, reach = o * inverse, np.abs(inverse) * half.astype(np.float32)
    enter = middle - reach
    face = enter.argmax(1)
    near = enter.max(1)
    t = np.where((near <= (middle + reach).min(1)) & (near > 1e-3), near, MISS)

    def normals(at: np.ndarray) -> np.ndarray:
        side = face[at]
        sign = -np.sign(d[at, side])
        return turn.T[side].astype(np.float32) * sign[:, None]

    return t, normals


def cylinder(
    rays: np.ndarray,
    squared: np.ndarray,
    centre: np.ndarray,
    turn: np.ndarray,
    radius: float,
    half: float,
) -> Hits:
    """A cylinder along the third column of `turn` [3, 3], with flat ends."""
    d, o = rays @ turn.astype(np.float32), (turn.T @ centre).astype(np.float32)
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


def triangle(rays: np.ndarray, squared: np.ndarray, corners: np.ndarray) -> Hits:
    """One triangle, seen from both sides; `corners` [3, 3]."""
    a, b, c = corners.astype(np.float32)
    n = np.cross(b - a, c - a)
    facing = rays @ n
    t = float(a @ n) / np.where(np.abs(facing) < 1e-12, np.float32(1e-12), facing)
    p = rays * t[:, None]
    inside = t > 1e-3
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= np.cross(end - start, p - start) @ n >= 0
    t = np.where(inside, t, MISS)
    unit = n / max(float(np.linalg.norm(n)), 1e-12)
    return t, lambda at: -np.sign(facing[at])[:, None] * unit
