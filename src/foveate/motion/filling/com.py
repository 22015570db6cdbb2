"""Centre of mass: a path that the feet can carry.

The one thing to know: for a body of constant height z_c the point of zero moment is
p = c − (z_c/g)·c̈ (linear inverted pendulum). The whole path c is found at once such that p follows
the support as well as it can, smoothly:

    min ‖(I − (z_c/g) D₂) c − z_ref‖² + λ ‖D₃ c‖² + μ (end-point errors)²

D₂, D₃ are finite differences (Kajita et al., 2003, solved here as one banded system). In flight
there is no p; there c̈ = 0 takes its place. A body that pushes itself up has g + z̈ for g.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from ..rotations import Array

GRAVITY = 9.81
SMOOTH = 1e-6
ENDS = 1e2
FLIGHT = 3.0


def plan_com(
    reference: Array,
    height: Array,
    fps: float,
    start: Array,
    end: Array,
    flight: Array | None = None,
    lift: Array | None = None,
    smooth: float = SMOOTH,
) -> Array:
    """Horizontal path of the centre of mass, one point per frame.

    Args:
        reference: Where the zero-moment point should be, `[T, 2]`.
        height: Height of the centre of mass above its support, `[T]`.
        fps: Frames per second.
        start, end: Where the path begins and ends, at rest, `[2]`.
        flight: Frames in the air, bool `[T]`.
        lift: Vertical acceleration of the body, m/s² `[T]`; it adds to gravity.
        smooth: Weight λ on the third difference, in units of s⁶/m² at 30 frames per second.

    Returns:
        `[T, 2]`.
    """
    reference = np.asarray(reference, float)
    count = len(reference)
    if count < 5:
        return np.linspace(start, end, count)
    h = 1.0 / fps
    flight = np.zeros(count, bool) if flight is None else np.asarray(flight, bool)
    down = GRAVITY + (0.0 if lift is None else np.asarray(lift, float))
    ratio = np.asarray(height, float) / np.maximum(down, 0.25 * GRAVITY) / h**2
    bands = np.zeros((4, count))  # upper bands of the normal matrix: row 3 is the diagonal
    right = np.zeros((count, 2))

    def add(columns: Array, weights: Array, target: Array) -> None:
        for i, column in enumerate(columns):
            right[column] += weights[i] * target
            for j in range(i, len(columns)):
                bands[3 - (columns[j] - column), columns[j]] += weights[i] * weights[j]

    for k in range(1, count - 1):
        columns = np.array([k - 1, k, k + 1])
        if flight[k]:
            add(columns, FLIGHT * ratio[k] * np.array([1.0, -2.0, 1.0]), np.zeros(2))
        else:
            add(columns, np.array([-ratio[k], 1 + 2 * ratio[k], -ratio[k]]), reference[k])
    jerk = np.sqrt(smooth) / h**3
    for k in range(count - 3):
        add(np.arange(k, k + 4), jerk * np.array([-1.0, 3.0, -3.0, 1.0]), np.zeros(2))
    for columns, weights, target in (
        ([0], [1.0], start),
        ([count - 1], [1.0], end),
        ([0, 1], [-1 / h, 1 / h], np.zeros(2)),
        ([count - 2, count - 1], [-1 / h, 1 / h], np.zeros(2)),
    ):
        add(np.array(columns), ENDS * np.array(weights), ENDS * np.asarray(target, float))
    return solveh_banded(bands, right)


def zero_moment(com: Array, height: Array, fps: float) -> Array:
    """The zero-moment point of a path, `[T, 2]`; the first and last are the path itself."""
    com = np.asarray(com, float)
    found = com.copy()
    if len(com) > 2:
        second = (com[2:] - 2 * com[1:-1] + com[:-2]) * fps**2
        found[1:-1] = com[1:-1] - np.asarray(height, float)[1:-1, None] / GRAVITY * second
    return found
