"""Knots: the solved key poses that the filler strings together, and what is planted at each.

The one thing to know: a contact belongs to a place. Two knots share a contact when the same part
has the same place at both; only then does the part stay planted in between, and only such parts
carry weight there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .. import rotations as rot
from ..body import JOINT, Body
from ..rotations import Array
from .solver import Wishes

FEET = ("L_foot", "R_foot")
FOOT_FAMILY = {f"{s}_{part}": s for s in "LR" for part in ("foot", "toes", "heel")}
"""Contact parts of a foot → side."""
SOFT = (
    "pelvis",
    "rump",
    "back",
    "belly",
    "chest",
    "head",
    "L_calf",
    "R_calf",
    "L_thigh",
    "R_thigh",
)
"""Parts that rest on something through the root's place and posture, without tasks of their own."""
SAME_PLACE = 1e-6


@dataclass(frozen=True)
class Place:
    """Where a part touches.

    Attributes:
        position: Of a foot: the point of the sole below the ankle; of other parts, the middle of
            their contact points. Metres, `[3]`.
        yaw: Heading of a foot, radians.
        slope: Rotation that lays a level sole on the surface, `[4]`.
        pitch: A foot rolled onto its toes (positive) or its heel (negative), radians.
        points: Of other parts: site → place.
        surface: Name of what is touched.
    """

    position: Array
    yaw: float = 0.0
    slope: Array = field(default_factory=lambda: rot.IDENTITY)
    pitch: float = 0.0
    points: dict[str, Array] = field(default_factory=dict)
    surface: str = "floor"

    def same_as(self, other: Place | None) -> bool:
        """Whether a part could stay at both without sliding; rolling does not count."""
        if other is None:
            return False
        turned = abs((self.yaw - other.yaw + np.pi) % (2 * np.pi) - np.pi)
        return bool(np.abs(self.position - other.position).max() < SAME_PLACE and turned < 1e-6)

    def moved(self, by: Array, turn: float = 0.0) -> Place:
        return replace(self, position=self.position + by, yaw=self.yaw + turn, pitch=0.0)

    def forward(self) -> Array:
        """Unit vector of the foot's heading on the floor, `[2]`."""
        return np.array([np.cos(self.yaw), np.sin(self.yaw)])

    def ankle(self, body: Body, pitch: float | None = None) -> tuple[Array, Array]:
        """Frame of the ankle joint: position `[3]` and quaternion `[4]`.

        The foot rolls about the line below the balls of the toes (pitch > 0) or about the back
        edge of the heel (pitch < 0).
        """
        pitch = self.pitch if pitch is None else pitch
        flat = rot.multiply(self.slope, rot.yaw_quat(self.yaw))
        ankle = np.array([0.0, 0.0, body.ankle_height])
        pivot = np.zeros(3)
        if pitch > 0:
            pivot[0] = body.offsets[JOINT["L_foot"], 0]
        elif pitch < 0:
            pivot[0] = -body.heel_back
        roll = rot.axis_angle([0.0, 1.0, 0.0], np.float64(pitch))
        local = pivot + rot.rotate(roll, ankle - pivot)
        if pitch > 0:  # the toes stay flat below their joint, which comes down as the foot rolls
            joint = body.ankle_height + body.offsets[JOINT["L_foot"], 2]
            local[2] += joint * (1 - np.cos(pitch))
        return self.position + rot.rotate(flat, local), rot.multiply(flat, roll)

    def centre(self, body: Body) -> Array:
        """Where the weight should be when this foot carries it all, `[2]`."""
        ahead = 0.035 * body.scale
        if self.pitch > 0.05:
            ahead = body.offsets[JOINT["L_foot"], 0] + 0.02 * body.scale
        return self.position[:2] + ahead * self.forward()


@dataclass
class Knot:
    """A solved pose at an instant.

    Attributes:
        span: Wanted seconds since the knot before.
        qpos: The pose, `[54]`.
        contacts: Part → place.
        centre: Where the weight should be, `[2]`.
        key: Id of the plan's key, or "" for knots put in between.
        hold: Seconds the pose is kept.
        ease: How the segment before runs.
        flight: The segment before is in the air.
        minimum: Shortest time of the segment before, seconds.
        exact: The segment before must last exactly as long as it does now (gaits, flights).
        lift: Height of feet that swing in the segment before, metres.
        gait: The segment before is locomotion: the posture of the legs counts less.
        sites: Site → place in the world that is kept while both knots of a segment name it.
        through: Not a stop: the motion runs on through this knot.
        speed: Vertical speed of the pelvis at this knot, m/s (0 but around flights).
        spin: Turn to the left in the segment before when it may exceed half a turn, radians.
        wishes: What the pose was solved for.
        t: Seconds from the start; set by the timing.
    """

    span: float
    qpos: Array
    contacts: dict[str, Place]
    centre: Array
    key: str = ""
    hold: float = 0.0
    ease: str = "smooth"
    flight: bool = False
    minimum: float = 0.08
    exact: bool = False
    lift: float = 0.08
    gait: bool = False
    sites: dict[str, Array] = field(default_factory=dict)
    through: bool = False
    speed: float = 0.0
    spin: float = 0.0
    wishes: Wishes | None = None
    t: float = 0.0

    def feet(self) -> dict[str, Place]:
        """Side ("L", "R") → place of the feet that touch."""
        return {FOOT_FAMILY[p]: place for p, place in self.contacts.items() if p in FOOT_FAMILY}

    def yaw(self) -> float:
        return float(rot.yaw_of(self.qpos[3:7]))


def shared(a: Knot, b: Knot) -> dict[str, Place]:
    """What stays planted from a to b. A foot that only rolls stays; it is named as at `a`."""
    if b.flight:
        return {}
    found: dict[str, Place] = {}
    feet = b.feet()
    for part, place in a.contacts.items():
        if part in FOOT_FAMILY:
            if place.same_as(feet.get(FOOT_FAMILY[part])):
                found[part] = place
        elif part in b.contacts and (part in SOFT or place.same_as(b.contacts[part])):
            found[part] = place
    return found


def carrying(a: Knot, b: Knot) -> dict[str, Place]:
    """What carries the body from a to b: a foot that rolls in between does so on its toes only."""
    feet_a, feet_b = a.feet(), b.feet()
    found = {}
    for part, place in shared(a, b).items():
        if part in FOOT_FAMILY:
            side = FOOT_FAMILY[part]
            most = max(feet_a[side].pitch, feet_b[side].pitch, key=abs)
            place = replace(place, pitch=most)
            if abs(most) > 0.05:
                part = f"{side}_toes" if most > 0 else f"{side}_heel"
        found[part] = place
    return found


def support_points(contacts: dict[str, Place], body: Body) -> Array:
    """Points on the ground that carry weight, `[n, 2]`."""
    points = []
    for part, place in contacts.items():
        if part in FOOT_FAMILY:
            toe = body.offsets[JOINT["L_foot"], 0]
            front, back = toe + body.toe_front, -body.heel_back
            if part.endswith("toes") or place.pitch > 0.05:
                back = toe
            if part.endswith("heel") or place.pitch < -0.05:
                front = back + 0.03
            along = place.forward()
            across = np.array([-along[1], along[0]])
            for x in (back, front):
                for y in (-body.foot_half, body.foot_half):
                    points.append(place.position[:2] + x * along + y * across)
        else:
            points += [point[:2] for point in place.points.values()]
    return np.array(points).reshape(-1, 2)


def into_polygon(point: Array, points: Array, margin: float = 0.02) -> Array:
    """The nearest place to `point` inside the convex hull of `points`, `margin` from its edge.

    A hull too small for the margin gives its middle.
    """
    if len(points) < 3:
        return points.mean(0) if len(points) else np.asarray(point, float)
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError:  # all on one line
        return points.mean(0)
    normals, offsets = hull.equations[:, :2], hull.equations[:, 2] + margin
    middle = points[hull.vertices].mean(0)
    if (normals @ middle + offsets > 0).any():
        return middle
    found = np.array(point, float)
    for _ in range(60):  # Dykstra-like sweeps: project on the worst edge until none is crossed
        distance = normals @ found + offsets
        worst = int(np.argmax(distance))
        if distance[worst] <= 1e-6:
            return found
        found = found - distance[worst] * normals[worst]
    return middle


def inside(point: Array, points: Array, margin: float = 0.0) -> bool:
    """Whether a point lies in the convex hull, at least `margin` from its edge."""
    return bool(np.linalg.norm(into_polygon(point, points, margin) - point) < 1e-4)
