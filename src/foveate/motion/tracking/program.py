"""The quadratic program of one control step: accelerations, contact forces and a helper wrench.

The one thing to know: the matrix is assembled for daqp, bounds of single variables first; limits of
torques are many and seldom reached, so they join only when the first answer breaks one.
"""

from __future__ import annotations

import daqp
import numpy as np

from ..body import DOFS
from ..rotations import Array

FRICTION, PUSH = 0.5, 2000.0
FORCE, SHEAR = 1e-5, 1e-4  # price of a contact force, upright and along the surface, per N²
HELP, HELP_TURN = 2e-4, 2e-3  # price of the helper force (per N²) and torque (per N²m²)
EQUAL = 5  # daqp's word for an equality
TORQUE = np.array([dof.limit for dof in DOFS])


def solve(
    hessian: Array,
    linear: Array,
    mass: Array,
    bias: Array,
    contacts: Array,
    help_limit: float,
) -> tuple[Array, Array, Array] | None:
    """The best accelerations, and the forces that make them.

    Args:
        hessian: Of the wishes for accelerations, `[53, 53]`.
        linear: Their linear part, `[53]`.
        mass: Joint-space inertia, `[53, 53]`.
        bias: Gravity, velocity and passive forces, `[53]`.
        contacts: Jacobian of the carrying points, two rows along the surface and one upright each,
            `[3 n, 53]`.
        help_limit: Largest helper force in newtons; 0 forbids it.

    Returns:
        Accelerations `[53]`, contact forces `[3 n]` and the helper wrench `[6]`; None if there is
        no solution.
    """
    nv, size = len(mass), len(contacts)
    helpers = 6 if help_limit else 0
    forces = slice(nv, nv + size)
    total = nv + size + helpers
    full = np.zeros((total, total))
    full[:nv, :nv] = hessian
    full[range(nv, nv + size), range(nv, nv + size)] = np.tile([SHEAR, SHEAR, FORCE], size // 3)
    cost = np.concatenate([linear, np.zeros(size + helpers)])
    upper, lower = np.full(total, 1e30), np.full(total, -1e30)
    upper[nv + 2 : nv + size : 3], lower[nv + 2 : nv + size : 3] = PUSH, 0.0
    base = np.concatenate([mass[:6], -contacts[:, :6].T, np.zeros((6, helpers))], axis=1)
    if helpers:
        rows = np.arange(total - 6, total)
        full[rows, rows] = [HELP] * 3 + [HELP_TURN] * 3
        base[:, rows] = -np.eye(6)
        upper[rows] = [help_limit] * 3 + [0.3 * help_limit] * 3
        lower[rows] = -upper[rows]
    pyramid = np.zeros((4 * (size // 3), total))
    for point in range(size // 3):
        column = nv + 3 * point
        rows = slice(4 * point, 4 * point + 4)
        pyramid[rows, column : column + 2] = [[1, 0], [-1, 0], [0, 1], [0, -1]]
        pyramid[rows, column + 2] = -FRICTION
    matrix = np.concatenate([base, pyramid])
    upper = np.concatenate([upper, -bias[:6], np.zeros(len(pyramid))])
    lower = np.concatenate([lower, -bias[:6], np.full(len(pyramid), -1e30)])
    sense = np.zeros(len(upper), np.int32)
    sense[total : total + 6] = EQUAL
    x, _, flag, _ = daqp.solve(full, cost, matrix, upper, lower, sense)
    if flag < 1:
        return None
    acting = np.zeros((len(TORQUE), total))
    acting[:, :nv], acting[:, forces] = mass[6:], -contacts[:, 6:].T
    if (np.abs(acting @ x + bias[6:]) > TORQUE).any():
        matrix = np.concatenate([matrix, acting])
        upper = np.concatenate([upper, TORQUE - bias[6:]])
        lower = np.concatenate([lower, -TORQUE - bias[6:]])
        sense = np.concatenate([sense, np.zeros(len(acting), np.int32)])
        again, _, flag, _ = daqp.solve(full, cost, matrix, upper, lower, sense)
        x = again if flag >= 1 else x
    return x[:nv], x[forces], x[total - 6 :] if helpers else np.zeros(6)
