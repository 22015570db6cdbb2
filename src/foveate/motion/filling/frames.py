"""Frames: from timed knots to one solved pose per frame.

The one thing to know: the interpolated posture is only a wish. In every frame the planted parts,
the swinging feet, the planned centre of mass and the height of the pelvis are solved for together,
starting from the frame before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import rotations as rot
from ..body import DOF, JOINT
from ..kinematics import centre_of_mass, fk_qpos, split_qpos
from ..rotations import Array
from ..scene import Scene
from .clearing import Clearing
from .com import plan_com
from .curves import Curve, min_jerk
from .gait import leg_costs
from .knots import FOOT_FAMILY, SOFT, Knot, Place, carrying, into_polygon, shared, support_points
from .solver import Frame, Solver, Wishes
from .style import Style

GRAVITY = 9.81
ITERATIONS = 5
ROLLED = np.radians(4.0)
RESTING = np.array([8.0, 8.0, 8.0, 4.0, 4.0, 4.0])  # cost of the root while a seat carries it
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


class Filler:
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
        self.knots, self.solver, self.scene, self.fps = knots, solver, scene, fps
        self.style, self.overlap = style, overlap
        self.body, self.clearing = solver.body, Clearing(solver, scene)
        self.times = np.array([knot.t for knot in knots])
        self.count = round(self.times[-1] * fps) + 1
        self.at = np.arange(self.count) / fps
        self.segments = self._segments()
        self.reference = self._reference()
        places, turns = fk_qpos(self.reference, self.body)
        ankles = [JOINT["L_ankle"], JOINT["R_ankle"]]
        self.ankles, self.turns = places[:, ankles], turns[:, ankles]
        self.com = self._com()

    # ---- plans over the whole motion

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

    # ---- frame by frame

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
