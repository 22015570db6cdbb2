"""The plans over a whole motion: reference posture, pelvis height, flights and centre of mass.

The one thing to know: nothing is solved here. What this gives are wishes, one a frame; `frames`
weighs them against what is planted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import rotations as rot
from ..body import DOF, JOINT
from ..kinematics import centre_of_mass, fk_qpos, split_qpos
from ..rotations import Array
from .com import plan_com
from .curves import Curve, min_jerk
from .knots import FOOT_FAMILY, Knot, Place, carrying, into_polygon, shared, support_points
from .solver import Solver
from .style import Style

GRAVITY = 9.81
LAG = {"elbow": 0.5, "wrist": 1.0, "head": 0.0, "neck": 0.0}  # share of the overlap


@dataclass
class Segment:
    """What lies between two knots."""

    a: Knot
    b: Knot
    held: dict[str, Place]
    first: int
    last: int
    zmp: tuple[Array, Array]

    @property
    def single(self) -> bool:
        return len(self.held) == 1 and next(iter(self.held)) in FOOT_FAMILY


class MotionPlan:
    """What every frame should look like, as far as single limbs are concerned.

    Args:
        knots: At least one, timed.
        solver: Of the body.
        fps: Frames per second.
        style: For sway and lag.
        overlap: Seconds by which hands follow the arms.
    """

    def __init__(
        self, knots: list[Knot], solver: Solver, fps: float, style: Style, overlap: float
    ) -> None:
        self.knots, self.solver, self.fps = knots, solver, fps
        self.style, self.overlap = style, overlap
        self.body = solver.body
        self.times = np.array([knot.t for knot in knots])
        self.count = round(self.times[-1] * fps) + 1
        self.at = np.arange(self.count) / fps
        self.segments = self._segments()
        self.reference = self._reference()
        places, turns = fk_qpos(self.reference, self.body)
        ankles = [JOINT["L_ankle"], JOINT["R_ankle"]]
        self.ankles, self.turns = places[:, ankles], turns[:, ankles]
        self.com = self._com()

    def _segments(self) -> list[Segment]:
        found = []
        for a, b in pairwise(self.knots):
            held = shared(a, b)
            first, last = round(a.t * self.fps), round(b.t * self.fps)
            found.append(Segment(a, b, held, first, last, (a.centre, b.centre)))
        for segment in found:
            if segment.single:
                foot = next(iter(carrying(segment.a, segment.b).values()))
                segment.zmp = (foot.centre(self.body), foot.centre(self.body))
        for before, segment, after in zip(
            [None, *found[:-1]], found, [*found[1:], None], strict=True
        ):
            if segment.single or segment.b.flight:
                continue
            start, end = segment.zmp
            if before is not None and before.single:
                start = before.zmp[1]
            if after is not None and after.single:
                end = after.zmp[0]
            segment.zmp = (start, end)
        return found

    def _reference(self) -> Array:
        """Interpolated poses `[T, 54]`."""
        knots = self.knots
        qpos = np.array([knot.qpos for knot in knots])
        pos, quat, hinges = split_qpos(qpos)
        yaw = rot.yaw_of(quat)
        for i in range(1, len(yaw)):
            near = yaw[i - 1] + knots[i].spin
            yaw[i] = near + (yaw[i] - near + np.pi) % (2 * np.pi) - np.pi
        rest = rot.log(rot.multiply(rot.inverse(rot.yaw_quat(yaw)), quat))
        stops = np.array([knot.hold > 0 for knot in knots])
        eases = [knot.ease for knot in knots[1:]]
        root_eases = ["smooth" if e == "ballistic" else e for e in eases]
        angles = Curve(self.times, hinges, stops, root_eases)
        found = np.empty((self.count, 54))
        found[:, 7:] = angles(self.at)
        self._lag(found, angles)
        turn = Curve(self.times, np.column_stack([yaw, rest]), stops, root_eases)(self.at)
        found[:, 3:7] = rot.multiply(rot.yaw_quat(turn[:, 0]), rot.exp(turn[:, 1:]))
        found[:, :2] = Curve(self.times, pos[:, :2], stops, root_eases)(self.at)
        found[:, 2] = 0.0
        above = centre_of_mass(*fk_qpos(found, self.body), self.body)[:, 2]
        found[:, 2:3] = self._heights(pos[:, 2:3], stops, root_eases, above)
        return found

    def _lag(self, found: Array, angles: Curve) -> None:
        """Hands follow the arms, and in some styles head and arms follow the body."""
        for word, share in LAG.items():
            delay = share * self.overlap + (0.5 + share) * self.style.lag_s
            if delay > 0:
                rows = [
                    7 + i for name, i in DOF.items() if f"_{word}." in name or name.startswith(word)
                ]
                found[:, rows] = angles(self.at - delay)[:, np.array(rows) - 7]

    def _heights(self, values: Array, stops: Array, eases: list[str], above: Array) -> Array:
        """Height of the pelvis `[T, 1]`.

        Around flights it is the centre of mass that is planned (in the air on a parabola), and the
        pelvis is as far below it as the posture says: arms that fall while the body rises take
        their share of the push.

        Args:
            values: Height of the pelvis at the knots, `[K, 1]`.
            stops: Knots at which it rests.
            eases: How the segments run.
            above: Height of the centre of mass over the pelvis at the frames, `[T]`.
        """
        found = Curve(self.times, values, stops, eases)(self.at)
        flights = self._flights()
        if not flights:
            return found
        masses = values + np.interp(self.times, self.at, above)[:, None]
        curve = Curve(self.times, masses, stops, eases)
        parabolas = []
        for start, end in flights:
            begin, span = self.times[start], self.times[end] - self.times[start]
            low, high = masses[start, 0], masses[end, 0]
            up = (high - low) / span + GRAVITY * span / 2
            curve.speeds[start, 0], curve.speeds[end, 0] = up, up - GRAVITY * span
            parabolas.append((begin, self.times[end], low, up))
        lower = curve(self.at)[:, 0]
        for begin, end, low, up in parabolas:
            rows = (self.at >= begin) & (self.at <= end)
            t = self.at[rows] - begin
            lower[rows] = low + up * t - GRAVITY * t**2 / 2
        for start, end in flights:  # the push before and the catch after belong to it
            first, last = self.times[max(start - 1, 0)], self.times[min(end + 1, len(values) - 1)]
            rows = (self.at >= first) & (self.at <= last)
            found[rows, 0] = lower[rows] - above[rows]
        return found

    def _flights(self) -> list[tuple[int, int]]:
        """(take-off, landing) as indices of knots."""
        found: list[tuple[int, int]] = []
        for i, knot in enumerate(self.knots):
            if knot.flight and found and found[-1][1] == i - 1:
                found[-1] = (found[-1][0], i)
            elif knot.flight:
                found.append((i - 1, i))
        # two flights in a row that meet on the ground are two: the knot between has contacts
        return [piece for pair in found for piece in self._parted(*pair)]

    def _parted(self, start: int, end: int) -> list[tuple[int, int]]:
        cuts = [i for i in range(start + 1, end) if self.knots[i].contacts]
        edges = [start, *cuts, end]
        return list(pairwise(edges))

    def _com(self) -> Array:
        """Where the centre of mass goes, `[T, 2]`."""
        reference = np.empty((self.count, 2))
        flight = np.zeros(self.count, bool)
        coms = [self.solver.com(knot.qpos) for knot in self.knots]
        grounds = []
        for knot in self.knots:
            heights = [place.position[2] for place in knot.contacts.values()]
            grounds.append(min(heights) if heights else (grounds[-1] if grounds else 0.0))
        tall = np.clip([c[2] - g for c, g in zip(coms, grounds, strict=True)], 0.15, 1.3)
        height = np.interp(self.at, self.times, tall)
        reference[:] = self.segments[0].zmp[0] if self.segments else coms[0][:2]
        for segment in self.segments:
            rows = slice(segment.first, segment.last + 1)
            u = np.linspace(0, 1, segment.last - segment.first + 1)[:, None]
            start, end = segment.zmp
            reference[rows] = start + min_jerk(u) * (end - start)
        for start, end in self._flights():
            first, last = (round(self.times[i] * self.fps) for i in (start, end))
            flight[first + 1 : last] = True
        if self.style.sway:
            self._sway(reference)
        last = self.knots[-1]
        end = last.centre if all(p in FOOT_FAMILY for p in last.contacts) else coms[-1][:2]
        lift = np.zeros(self.count)
        if flight.any():
            speed = np.gradient(self.reference[:, 2], 1 / self.fps)
            lift = np.where(flight, 0.0, np.gradient(speed, 1 / self.fps))
        return plan_com(reference, height, self.fps, coms[0][:2], end, flight, lift)

    def _sway(self, reference: Array) -> None:
        """A slow sideways wander that stays over the feet."""
        left = rot.rotate(self.reference[:, 3:7], [0.0, 1.0, 0.0])[:, :2]
        edge = np.minimum(self.at, self.at[-1] - self.at)
        size = self.style.sway * np.clip(edge / 0.8, 0, 1)
        wander = np.sin(2 * np.pi * 0.45 * self.at) + 0.4 * np.sin(2 * np.pi * 0.77 * self.at)
        for segment in self.segments:
            if segment.b.flight or not segment.held:
                continue
            points = support_points(segment.held, self.body)
            for frame in range(segment.first, segment.last + 1):
                moved = reference[frame] + size[frame] * wander[frame] * left[frame]
                reference[frame] = into_polygon(moved, points, 0.03)
