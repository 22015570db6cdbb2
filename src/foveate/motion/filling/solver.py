"""Whole-body inverse kinematics: which angles satisfy these wishes best?

The one thing to know: all wishes (posture, root, planted parts, hands, centre of mass) are weighted
against one another in one quadratic program per iteration, under the joint limits. mink builds it,
daqp solves it. Solving starts from the pose it is given, so frames solved in a row stay continuous.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mink
import numpy as np
from qpsolvers.exceptions import QPError

from .. import rotations as rot
from ..body import DOF, DOF_HIGH, DOF_LOW, BodyShape, body_of
from ..mjcf import model_of
from ..rotations import IDENTITY, Array

DT = 0.05
DAMPING = 1e-3
POSTURE = 0.3
STEP = 0.35  # radians: the linear model of one iteration holds no further
SOFT_KNEE = np.radians(5.0)
LOW = DOF_LOW + 1e-6
for _name in ("L_knee.flex", "R_knee.flex"):
    # a straight leg cannot be shortened to first order, so a solver that reaches it stays there
    LOW[DOF[_name]] = SOFT_KNEE


@dataclass
class Frame:
    """A wish for one body or site.

    Attributes:
        position: Where its origin should be, `[3]`.
        quat: How it should be turned, `[4]`; None leaves that open.
        position_cost, rotation_cost: Weights, per metre and per radian.
    """

    position: Array
    quat: Array | None = None
    position_cost: float = 20.0
    rotation_cost: float = 5.0


@dataclass
class Wishes:
    """What a pose should satisfy.

    Attributes:
        qpos: Posture, and root, to stay close to, `[54]`.
        root_cost: Weights of the root's x, y, z (world) and of its turns about x, y, z (body).
        posture_cost: Weight of each hinge.
        bodies: Joint name → wish for its frame.
        sites: Site name → wish.
        com: Centre of mass `[3]`, or None.
        com_cost: Weights of its x, y, z.
    """

    qpos: Array
    root_cost: tuple[float, float, float, float, float, float] = (0, 0, 2, 1, 1, 2)
    posture_cost: float | Array = POSTURE
    bodies: dict[str, Frame] = field(default_factory=dict)
    sites: dict[str, Frame] = field(default_factory=dict)
    com: Array | None = None
    com_cost: tuple[float, float, float] = (4.0, 4.0, 0.0)


class RootTask(mink.Task):
    """Keeps the pelvis near a place and a turn, with weights along the axes of the world.

    (mink's own posture task leaves the floating base out, and its frame task weighs along the axes
    of the body, which tilt.)
    """

    def __init__(self) -> None:
        super().__init__(cost=np.zeros(6))
        self.place, self.quat = np.zeros(3), IDENTITY

    def compute_error(self, configuration: mink.Configuration) -> Array:
        """Place minus target, and the turn from target to now, `[6]`."""
        turn = rot.log(rot.multiply(rot.inverse(self.quat), configuration.q[3:7]))
        return np.concatenate([configuration.q[:3] - self.place, turn])

    def compute_jacobian(self, configuration: mink.Configuration) -> Array:
        """The first six coordinates of velocity are these already, `[6, nv]`."""
        return np.eye(6, configuration.model.nv)


class Solver:
    """Solves wishes for one body shape; keeps its tasks between calls."""

    def __init__(self, shape: BodyShape | None = None) -> None:
        self.body = body_of(shape)
        self.model = model_of(shape)
        self.configuration = mink.Configuration(self.model)
        self.limits = [mink.ConfigurationLimit(self.model)]
        self.posture = mink.PostureTask(self.model, cost=1.0)
        self.root = RootTask()
        self.centre = mink.ComTask(cost=1.0)
        self._frames: dict[tuple[str, str], mink.FrameTask] = {}

    def solve(self, start: Array, wishes: Wishes, iterations: int = 8) -> Array:
        """The pose that satisfies the wishes best, `[54]`.

        Args:
            start: Where to begin, `[54]`.
            wishes: What is wanted.
            iterations: Gauss-Newton steps: about 40 for a key from afar, 4 to 8 from a neighbour.
        """
        tasks = self._tasks(wishes)
        qpos = within_limits(start)
        for _ in range(iterations):
            self.configuration.update(qpos)
            try:
                velocity = mink.solve_ik(
                    self.configuration, tasks, DT, "daqp", damping=DAMPING, limits=self.limits
                )
            except (mink.NoSolutionFound, QPError):
                break  # keep the best so far; callers measure what is left
            # far from the wishes a full step overshoots
            largest = np.abs(velocity[3:] * DT).max()
            scale = min(1.0, STEP / max(largest, 1e-9))
            qpos = within_limits(self.configuration.integrate(velocity * scale, DT))
            if largest < 1e-4 and np.abs(velocity[:3] * DT).max() < 1e-4:
                break
        return qpos

    def com(self, qpos: Array) -> Array:
        """Centre of mass `[3]` of a pose."""
        self.configuration.update(qpos)
        return np.array(self.configuration.data.subtree_com[1])

    def _tasks(self, wishes: Wishes) -> list[mink.Task]:
        cost = np.empty(self.model.nv)
        cost[:6], cost[6:] = 0.0, wishes.posture_cost
        self.posture.set_cost(cost)
        self.posture.set_target(np.asarray(wishes.qpos, float))
        self.root.cost[:] = wishes.root_cost
        self.root.place, self.root.quat = wishes.qpos[:3], wishes.qpos[3:7]
        tasks: list[mink.Task] = [self.posture, self.root]
        for kind, frames in (("body", wishes.bodies), ("site", wishes.sites)):
            for name, frame in frames.items():
                tasks.append(self._frame_task(kind, name, frame))
        if wishes.com is not None:
            self.centre.set_cost(wishes.com_cost)
            self.centre.set_target(wishes.com)
            tasks.append(self.centre)
        return tasks

    def _frame_task(self, kind: str, name: str, frame: Frame) -> mink.FrameTask:
        if (kind, name) not in self._frames:
            self._frames[kind, name] = mink.FrameTask(name, kind, 1.0, 1.0)
        task = self._frames[kind, name]
        task.set_position_cost(frame.position_cost)
        task.set_orientation_cost(0.0 if frame.quat is None else frame.rotation_cost)
        quat = IDENTITY if frame.quat is None else frame.quat
        task.set_target(mink.SE3(np.concatenate([quat, frame.position])))
        return task


def within_limits(qpos: Array) -> Array:
    """The pose with its hinges clipped to their ranges and its quaternion of length 1."""
    qpos = np.array(qpos, float)
    qpos[7:] = np.clip(qpos[7:], LOW, DOF_HIGH - 1e-6)
    qpos[3:7] /= np.linalg.norm(qpos[3:7])
    return qpos
