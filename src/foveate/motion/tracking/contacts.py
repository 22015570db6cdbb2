"""Contacts: the points that may carry weight at an instant, as rows of the controller's program.

The one thing to know: feet touch where and when the reference says so, because the simulator's own
contacts of a sole flicker, and a controller that follows them falls. What is round (seat, back,
knees, hands) touches wherever it happens to: there the simulator is asked, with a margin of
millimetres, so that a contact is known before it bears and while it rocks.
"""

from __future__ import annotations

import numpy as np

from ..engine import mujoco
from ..mjcf import NEARBY
from ..rotations import Array
from .reference import FEET, Reference

ACTUAL = 0.03  # metres: how near a point of a sole must be to carry weight
LANDED = 0.004  # metres: how near one must come after a flight
TOUCH = 0.001  # metres: what is round bears from here on, and then as long as it is NEARBY
FOOT_SITES = {side: [f"{side}_{end}" for end in FEET] for side in "LR"}
_ARM = ("shoulder", "elbow", "wrist")
_SOLES = ("L_ankle", "R_ankle", "L_foot", "R_foot")


class Contacts:
    """Finds the carrying points of a simulated body.

    Args:
        model: Body and scene.
        reference: Says which points of the soles touch when, and when the body rests on more.
    """

    def __init__(self, model: mujoco.MjModel, reference: Reference) -> None:
        self.model, self.ref = model, reference
        self.site_ids = [model.site(name).id for name in reference.sites]
        self.site_bodies = [int(model.site_bodyid[i]) for i in self.site_ids]
        self.foot_sites = [
            [i for i, name in enumerate(reference.sites) if name in FOOT_SITES[side]]
            for side in "LR"
        ]
        soles = [model.body(name).id for name in _SOLES]
        own = model.geom_group == 1
        self.round = own & ~np.isin(model.geom_bodyid, soles)
        arms = [[model.body(f"{side}_{name}").id for name in _ARM] for side in "LR"]
        self.arms = np.array([np.isin(model.geom_bodyid, arm) for arm in arms])
        self.anchors = np.full((len(self.site_ids), 2), np.nan)  # where each point came to stand
        self.touched: set[int] = set()  # round shapes that bore at the last sample

    def reset(self) -> None:
        self.anchors[:] = np.nan
        self.touched = set()

    def standing(self, step: int, side: int) -> bool:
        """Whether a foot (0 left, 1 right) carries weight at a sample."""
        return bool(self.ref.active[step, self.foot_sites[side]].any())

    def tilted(self, side: int) -> bool:
        """Whether some points of a foot (0 left, 1 right) have not touched yet."""
        return bool(np.isnan(self.anchors[self.foot_sites[side], 0]).any())

    def flying(self, step: int) -> bool:
        return not (self.ref.active[step].any() or self.ref.resting[step])

    def rows(
        self, step: int, data: mujoco.MjData, soon: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        """Two rows along the surface and one upright for each point.

        A point of a sole is held where it came to stand; friction in simulation gives way a little
        at every step, and what only brakes creeps by centimetres.

        Args:
            step: Sample.
            data: The state.
            soon: Points that bear as soon as they touch instead of by the reference, bool `[S]`.

        Returns:
            Jacobian `[3 n, 53]`, and how far the points have strayed, metres `[3 n]`.
        """
        ref, model = self.ref, self.model
        rows, strayed = [], []
        active = ref.active[step] if soon is None else soon
        self.anchors[~active] = np.nan
        for index in np.flatnonzero(active):
            point = data.site_xpos[self.site_ids[index]]
            stands = soon is None or not np.isnan(self.anchors[index, 0])
            if point[2] - ref.surface[step, index] < (ACTUAL if stands else LANDED):
                jacobian = np.empty((3, model.nv))
                mujoco.mj_jac(model, data, jacobian, None, point, self.site_bodies[index])
                rows.append(jacobian)
                if np.isnan(self.anchors[index, 0]):
                    self.anchors[index] = point[:2]
                # what has just landed must go all the way down
                gap = 0.0 if soon is None else point[2] - ref.surface[step, index]
                strayed += [*(point[:2] - self.anchors[index]), gap]
        if ref.resting[step]:
            for jacobian, gap in self._rounded(step, data):
                rows.append(jacobian)
                strayed += [0.0, 0.0, gap]
        if not rows:
            return np.zeros((0, model.nv)), np.zeros(0)
        return np.concatenate(rows), np.array(strayed)

    def strayed(self, step: int) -> Array:
        """How far the soles that have touched are from where the reference has them, `[2]`."""
        held = np.flatnonzero(~np.isnan(self.anchors[:, 0]))
        if not len(held):
            return np.zeros(2)
        return (self.anchors[held] - self.ref.points[step, held, :2]).mean(axis=0)

    def _rounded(self, step: int, data: mujoco.MjData) -> list[tuple[Array, float]]:
        """Rows of what is round and near a surface, and how near.

        An arm that only brushes against a seat bears nothing: held there, it would hold the trunk.
        """
        found, touching = [], set()
        bears = self.round & ~self.arms[~self.ref.leaning[step]].any(axis=0)
        for contact in data.contact:
            first, second = contact.geom1, contact.geom2
            own = first if bears[first] else second
            if not bears[own] or contact.dist > (NEARBY if own in self.touched else TOUCH):
                continue
            touching.add(own)
            jacobian = np.empty((3, self.model.nv))
            body = int(self.model.geom_bodyid[own])
            mujoco.mj_jac(self.model, data, jacobian, None, contact.pos, body)
            normal, *along = contact.frame.reshape(3, 3)
            sign = -1.0 if own == first else 1.0  # the normal points from the first to the second
            rows = np.array([*along, sign * normal]) @ jacobian
            found.append((rows, max(contact.dist, 0.0)))
        self.touched = touching
        return found
