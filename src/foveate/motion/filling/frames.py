"""Frames: from timed knots to one solved pose per frame.

The one thing to know: the interpolated posture is only a wish. In every frame the planted parts,
the swinging feet, the planned centre of mass and the height of the pelvis are solved for together,
starting from the frame before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import rotations as rot
from ..body import DOF
from ..rotations import Array
from ..scene import Scene
from .clearing import Clearing
from .curves import min_jerk
from .knots import FOOT_FAMILY, SOFT, Knot, Place
from .motion_plan import MotionPlan, Segment
from .solver import Frame, Solver, Wishes
from .stepping import leg_costs
from .style import Style

ITERATIONS = 5
ROLLED = np.radians(4.0)
RESTING = np.array([8.0, 8.0, 8.0, 4.0, 4.0, 4.0])  # cost of the root while a seat carries it


class Filler(MotionPlan):
    """Solves all frames of timed knots.

    Args:
        knots: At least one, timed.
        solver: Of the body.
        scene: Of the plan.
        fps: Frames per second.
        style: For sway and lag.
        overlap: Seconds by which hands follow the arms.
    """

    def __init__(
        self,
        knots: list[Knot],
        solver: Solver,
        scene: Scene,
        fps: float,
        style: Style,
        overlap: float,
    ) -> None:
        super().__init__(knots, solver, fps, style, overlap)
        self.clearing = Clearing(solver, scene)

    def run(self, progress: Callable[[int, int], None] | None = None) -> Array:
        """All poses `[T, 54]`."""
        found = np.empty((self.count, 54))
        found[0] = self.knots[0].qpos
        legs = leg_costs(0.05)
        for segment in self.segments or []:
            for frame in range(segment.first + 1, segment.last + 1):
                wishes = self._wishes(segment, frame, legs)
                start = self._blend(found[frame - 1], self.reference[frame])
                solved = self.solver.solve(start, wishes, ITERATIONS)
                found[frame] = self._clear(segment, frame, wishes, solved)
                if progress is not None and frame % 10 == 0:
                    progress(frame, self.count)
        return found

    def _blend(self, before: Array, reference: Array) -> Array:
        mixed = (before + reference) / 2
        mixed[3:7] = rot.slerp(before[3:7], reference[3:7], np.float64(0.5))
        return mixed

    def _wishes(self, segment: Segment, frame: int, legs: Array) -> Wishes:
        a, b = segment.a, segment.b
        u = (frame - segment.first) / (segment.last - segment.first)
        s = float(min_jerk(np.float64(u)))
        wishes = Wishes(self.reference[frame].copy())
        rests = self._rests(segment, s)
        walking = a.gait and b.gait
        if b.flight:
            stands = np.array([0, 0, 30, 4, 4, 4], float)
        elif walking:
            stands = np.array([0, 0, 4, 3, 3, 3], float)
        else:
            stands = np.array([0.7, 0.7, 4, 3, 3, 3])
        wishes.root_cost = tuple((1 - rests) * stands + rests * RESTING)
        if rests < 1:
            wishes.com = np.array([*self.com[frame], 0.0])
            wishes.com_cost = tuple((1 - rests) * np.array(wishes.com_cost))
        if walking and not b.flight:
            wishes.posture_cost = legs
        for side in "LR":
            self._foot(wishes, segment, side, frame, u, s)
        for part, place in segment.held.items():
            if part not in FOOT_FAMILY and part not in SOFT:
                for site, point in place.points.items():
                    wishes.sites[site] = Frame(point, None, 10.0)
        for site, point in a.sites.items():
            other = b.sites.get(site)
            if other is not None and np.linalg.norm(other - point) < 0.02:
                wishes.sites[site] = Frame((1 - s) * point + s * other, None, 10.0)
        return wishes

    @staticmethod
    def _rests(segment: Segment, s: float) -> float:
        """How far the pelvis goes by its own way (1) instead of by the weight over the feet (0)."""
        a, b = segment.a, segment.b
        if any(part in SOFT for part in segment.held) or not (segment.held or b.flight):
            return 1.0
        before, after = (any(part in SOFT for part in knot.contacts) for knot in (a, b))
        if b.flight or before == after:
            return 0.0
        return s if after else 1 - s

    def _foot(
        self, wishes: Wishes, segment: Segment, side: str, frame: int, u: float, s: float
    ) -> None:
        pa, pb = segment.a.feet().get(side), segment.b.feet().get(side)
        if pb is not None and u == 1.0:
            wishes.bodies[f"{side}_ankle"] = Frame(*pb.ankle(self.body))
            return
        if pa is None or pb is None or segment.b.flight:
            # free: near where the interpolated posture has it, so that it arrives where it must
            place, turn = self.ankles[frame, "LR".index(side)], self.turns[frame, "LR".index(side)]
            wishes.bodies[f"{side}_ankle"] = Frame(place, turn, 5.0, 1.0)
            return
        if pa.pitch > 0 and not pa.same_as(pb):
            s = 0.4 * s + 0.6 * (3 * u**2 - 2 * u**3)  # a foot that pushes off leaves at once
        pitch = (1 - s) * pa.pitch + s * pb.pitch
        if pa.same_as(pb):
            wishes.bodies[f"{side}_ankle"] = Frame(*pa.ankle(self.body, pitch))
        else:
            place = self._swing(segment, pa, pb, u, s)
            if pa.pitch > 0:
                pitch += 5.0 * pa.pitch * u * (1 - u) ** 3  # the heel goes on rising at first
            wishes.bodies[f"{side}_ankle"] = Frame(*place.ankle(self.body, pitch), 15.0, 3.0)
        if pitch > 0:
            wishes.qpos[7 + DOF[f"{side}_foot.ext"]] = pitch

    def _swing(self, segment: Segment, pa: Place, pb: Place, u: float, s: float) -> Place:
        """The sole on its way from one foothold to the next."""
        position = (1 - s) * pa.position + s * pb.position
        rise = pb.position[2] - pa.position[2]
        early = u / 0.65 if rise > 0.01 else (u - 0.35) / 0.65 if rise < -0.01 else u
        position[2] = pa.position[2] + rise * float(min_jerk(np.float64(np.clip(early, 0, 1))))
        position[2] += segment.b.lift * 16 * u**2 * (1 - u) ** 2
        turn = (pb.yaw - pa.yaw + np.pi) % (2 * np.pi) - np.pi
        slope = rot.slerp(pa.slope, pb.slope, np.float64(s))
        return Place(position, pa.yaw + s * turn, slope)

    def _clear(self, segment: Segment, frame: int, wishes: Wishes, solved: Array) -> Array:
        """The pose with its free feet above the ground and its free arms beside things."""
        if not segment.b.flight:
            feet = [s for s in "LR" if wishes.bodies[f"{s}_ankle"].position_cost < 10]
            share = (frame - segment.first) / (segment.last - segment.first)
            solved = self.clearing.feet(solved, wishes, feet, share)
        if any(part in SOFT for part in {*segment.a.contacts, *segment.b.contacts}):
            solved = self.clearing.trunk(solved, wishes)
        arms = [s for s in "LR" if not self._busy(segment, s)]
        return self.clearing.arms(solved, wishes, arms)

    @staticmethod
    def _busy(segment: Segment, side: str) -> bool:
        """Whether an arm rests on something, or is on its way there or back."""
        parts = {*segment.a.contacts, *segment.b.contacts, *segment.a.sites, *segment.b.sites}
        return any(part in (f"{side}_hand", f"{side}_elbow") for part in parts)

    # ---- contacts

    def contacts(self) -> dict[str, Array]:
        """Part → whether it touches, bool `[T]`."""
        found: dict[str, Array] = {}

        def mark(part: str, frame: int) -> None:
            found.setdefault(part, np.zeros(self.count, bool))[frame] = True

        for knot in self.knots:
            frame = round(knot.t * self.fps)
            for part, place in knot.contacts.items():
                mark(_named(part, place.pitch), frame)
        for segment in self.segments:
            feet = segment.b.feet()
            for frame in range(segment.first + 1, segment.last):
                s = float(
                    min_jerk(np.float64((frame - segment.first) / (segment.last - segment.first)))
                )
                for part, place in segment.held.items():
                    pitch = place.pitch
                    if part in FOOT_FAMILY:
                        pitch += s * (feet[FOOT_FAMILY[part]].pitch - place.pitch)
                    mark(_named(part, pitch), frame)
        return found


def _named(part: str, pitch: float) -> str:
    """The part of a foot that touches when it is rolled."""
    if part not in FOOT_FAMILY:
        return part
    side = FOOT_FAMILY[part]
    return (
        f"{side}_toes" if pitch > ROLLED else f"{side}_heel" if pitch < -ROLLED else f"{side}_foot"
    )
