"""Curves through knots: minimum-jerk segments that stop where they must and run on where they can.

The one thing to know: every channel (a hinge, a coordinate) is interpolated on its own by quintics
with given speeds at the knots. The speed is that of a monotone cubic (Fritsch and Carlson, 1980):
zero wherever the channel turns back, so nothing overshoots; between two stops the quintic is the
minimum-jerk profile 10u³ − 15u⁴ + 6u⁵ (Flash and Hogan, 1985). Hinges are interpolated rather than
quaternions, because a shoulder passes the singular angle of its hinges in many gestures, where a
shortest arc would make them jump.
"""

from __future__ import annotations

import numpy as np

from ..rotations import Array

_WARP = {
    "linear": lambda u: u,
    "accelerate": lambda u: min_jerk(u**1.6),
    "decelerate": lambda u: min_jerk(1 - (1 - u) ** 1.6),
    "snap": lambda u: min_jerk(1 - (1 - u) ** 2.6),
}


def min_jerk(u: Array) -> Array:
    """From 0 to 1 with speed and acceleration 0 at both ends."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def tangents(times: Array, values: Array, stops: Array) -> Array:
    """Speeds at the knots `[K, C]`: monotone, and 0 at the stops (bool `[K]`) and the ends."""
    found = np.zeros_like(values)
    if len(times) < 3:
        return found
    steps = np.diff(times)[:, None]
    slopes = np.diff(values, axis=0) / steps
    before, after = slopes[:-1], slopes[1:]
    w1, w2 = 2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1]
    same = before * after > 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (w1 + w2) / (w1 / before + w2 / after)
    found[1:-1] = np.where(same, mean, 0.0)
    found[np.asarray(stops, bool)] = 0.0
    return found


class Curve:
    """Channels through knots.

    Args:
        times: Of the knots, increasing, `[K]`.
        values: `[K, C]`.
        stops: Knots where everything rests, bool `[K]`.
        eases: How each segment runs, K − 1 names; those other than "smooth" and "ballistic" stop
            at both ends.
        speeds, bends: First and second derivative at the knots instead, `[K, C]`.
    """

    def __init__(
        self,
        times: Array,
        values: Array,
        stops: Array,
        eases: list[str] | None = None,
        speeds: Array | None = None,
        bends: Array | None = None,
    ) -> None:
        self.times, self.values = np.asarray(times, float), np.asarray(values, float)
        stops = np.array(stops, bool)
        self.eases = eases or ["smooth"] * (len(times) - 1)
        for i, ease in enumerate(self.eases):
            if ease in _WARP:
                stops[i] = stops[i + 1] = True
        self.speeds = tangents(self.times, self.values, stops) if speeds is None else speeds
        self.bends = np.zeros_like(self.values) if bends is None else bends

    def __call__(self, at: Array) -> Array:
        """Values at times `[N]`, `[N, C]`; before the first and after the last knot they rest."""
        at = np.clip(np.asarray(at, float), self.times[0], self.times[-1])
        if len(self.times) == 1:
            return np.repeat(self.values, len(at), axis=0)
        index = np.clip(np.searchsorted(self.times, at, side="right") - 1, 0, len(self.times) - 2)
        length = np.diff(self.times)[index]
        u = (at - self.times[index]) / length
        found = _quintic(
            u[:, None],
            length[:, None],
            *(
                part[i]
                for i in (index, index + 1)
                for part in (self.values, self.speeds, self.bends)
            ),
        )
        for segment, ease in enumerate(self.eases):
            warp = _WARP.get(ease)
            rows = index == segment
            if warp is not None and rows.any():
                s = warp(u[rows])[:, None]
                a, b = self.values[segment], self.values[segment + 1]
                found[rows] = a + s * (b - a)
        return found


def _quintic(
    u: Array, t: Array, p0: Array, v0: Array, a0: Array, p1: Array, v1: Array, a1: Array
) -> Array:
    """Hermite quintic on u = 0 … 1 over t seconds."""
    d = p1 - p0
    c3 = 10 * d - t * (6 * v0 + 4 * v1) - t**2 * (1.5 * a0 - 0.5 * a1)
    c4 = -15 * d + t * (8 * v0 + 7 * v1) + t**2 * (1.5 * a0 - a1)
    c5 = 6 * d - t * (3 * v0 + 3 * v1) - t**2 * (0.5 * a0 - 0.5 * a1)
    return p0 + u * (t * v0 + u * (t**2 * a0 / 2 + u * (c3 + u * (c4 + u * c5))))
