"""Placing: which parts touch at a key, and where the feet stand.

The one thing to know: a foot stays where it stands as long as the leg reaches it; what is told
(a step, a point, a surface) goes before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import JOINT, Body, body_of
from ..kinematics import fk, hinges_to_quats
from ..plan import Contact, Keyframe, KeyframePlan
from ..pose import Pose
from ..rotations import Array
from ..scene import Scene
from .knots import FEET, FOOT_FAMILY, SOFT, Knot, Place
from .solver import Solver
from .style import Style

REACH = 1.01  # share of the leg's length beyond which a foot must step
MOST_BUMP = 0.03  # metres: what stands higher than this beside a sole is not under it
KNEELING = 1.25  # radians: the sole behind a knee on the ground


class Placing:
    """What is known while a plan is walked through, and the places of contacts.

    Args:
        plan: What to expand.
        style: How its style changes poses and gaits.
    """

    def __init__(self, plan: KeyframePlan, style: Style) -> None:
        self.plan, self.style = plan, style
        self.body: Body = body_of(plan.body)
        self.scene = plan.scene or Scene()
        self.solver = Solver(plan.body)
        self.stance = Pose.neutral(self.body)
        self.neutral = self.stance.hinges()
        self.knots: list[Knot] = []
        self.hinges = self.neutral.copy()  # what the last key wished
        self.home = np.zeros(2)  # where the pelvis belongs by what was told
        self.yaw = 0.0
        self.tilt: tuple[float | None, float | None] = (None, None)
        self.feet: dict[str, Place] = {}  # last place of each foot, standing or not
        self.end = 0.0  # time of the last key, hold included

    def contacts_of(self, key: Keyframe, hinges: Array) -> tuple[dict[str, Place], bool]:
        """Part → place at this key, and whether a step was asked for."""
        told = {c.part: c for c in key.contacts} if key.contacts is not None else None
        before = self.knots[-1].contacts if self.knots else {}
        parts = list(told) if told is not None else (list(before) if self.knots else list(FEET))
        found: dict[str, Place] = {}
        stepped = False
        for part in parts:
            contact = told.get(part) if told else None
            if part in FOOT_FAMILY:
                found[part] = self._foot(part, contact, key, hinges)
                if part.endswith("_toes") and f"{part[0]}_knee" in parts:
                    found[part] = replace(found[part], pitch=KNEELING)
                stepped |= contact is not None and (contact.step or contact.point) is not None
            elif contact is None and part in before:
                found[part] = before[part]
            else:
                surface = contact.surface if contact else "floor"
                self._check_surface(surface)
                if part in before and before[part].surface == surface:
                    found[part] = before[part]
                else:
                    point = contact.point if contact else None
                    at = np.array(point if point else (np.nan,) * 3, float)
                    found[part] = Place(at, surface=surface)  # found when the pose is solved
        if stepped and key.root.travel == (0.0, 0.0):
            feet = [p.position[:2] for part, p in found.items() if part in FOOT_FAMILY]
            self.home = np.mean(feet, axis=0)
        return found, stepped

    def _check_surface(self, surface: str) -> None:
        if surface != "floor" and surface not in self.body.contact_points:
            _ = self.scene[surface]  # raises with the names that exist

    def _foot(self, part: str, contact: Contact | None, key: Keyframe, hinges: Array) -> Place:
        side = FOOT_FAMILY[part]
        if contact is not None:
            self._check_surface(contact.surface)
        last = self.feet.get(side)
        pitch = {"toes": 0.5, "heel": -0.35}.get(part[2:], 0.0)
        if contact is not None and contact.point is not None:
            place = self.ground(np.array(contact.point[:2]), self.yaw)
        elif contact is not None and contact.step is not None and last is not None:
            by = turn2(self.yaw) @ np.array(contact.step)
            yaw = last.yaw + np.radians(contact.turn_deg or 0.0)
            place = self.ground(last.position[:2] + by, yaw)
        elif last is not None and side in (self.knots[-1].feet() if self.knots else {}):
            if contact is not None or self._reachable(last, side, hinges, key):
                place = replace(last, pitch=0.0)
            else:
                place = self.under(side, hinges)
        else:
            place = self.under(side, hinges)
            if last is not None and np.linalg.norm(place.position - last.position) < 0.06:
                place = replace(last, pitch=0.0)  # put back where it was lifted
        return replace(place, pitch=pitch)

    def under(self, side: str, hinges: Array) -> Place:
        """Where a foot comes to stand when the pelvis is at home in this posture."""
        turned = rot.yaw_quat(self.yaw)
        places, turns = fk([*self.home, 0.0], turned, hinges_to_quats(hinges), self.body)
        joint = JOINT[f"{side}_ankle"]
        toes = rot.rotate(turns[joint], [1.0, 0.0, 0.0])
        yaw = np.arctan2(toes[1], toes[0]) if np.hypot(toes[0], toes[1]) > 0.3 else self.yaw
        hip = places[JOINT[f"{side}_hip"]][:2]
        ahead = turn2(self.yaw).T @ (places[joint][:2] - hip)
        # a bent leg puts its foot behind or before the hip; standing, it belongs below
        at = hip + turn2(self.yaw) @ (ahead * [0.0, 1.0])
        if self.knots and abs(yaw - self.yaw) > np.radians(40):
            yaw = self.yaw
        return self.ground(at, float(yaw))

    def ground(self, at: Array, yaw: float) -> Place:
        """A foot's place on whatever is below a point."""
        h = 0.03
        ahead = turn2(yaw) @ np.array([0.035, 0.0])
        probe = at + ahead
        height = float(self.scene.height(probe))
        around = self.scene.height(probe + np.array([[h, 0], [-h, 0], [0, h], [0, -h]]))
        gx, gy = (around[0] - around[1]) / (2 * h), (around[2] - around[3]) / (2 * h)
        slope = rot.IDENTITY
        if 1e-6 < np.hypot(gx, gy) < 0.7:  # a slope, not the edge of a step
            normal = np.array([-gx, -gy, 1.0])
            normal /= np.linalg.norm(normal)
            axis = np.cross([0.0, 0.0, 1.0], normal)
            slope = rot.exp(axis / np.linalg.norm(axis) * np.arccos(normal[2]))
            height -= float(np.array([gx, gy]) @ ahead)
            height += self._bumps(at, yaw, height, np.array([gx, gy]))
        return Place(np.array([*at, height]), yaw, slope)

    def _bumps(self, at: Array, yaw: float, height: float, slope: Array) -> float:
        """How far the ground comes through a sole laid on its slope, metres; 0 if it is even."""
        front = self.body.offsets[JOINT["L_foot"], 0] + self.body.toe_front
        x, y = np.meshgrid(np.linspace(-self.body.heel_back, front, 6), [-1.0, 0.0, 1.0])
        by = np.stack([x, y * self.body.foot_half], axis=-1).reshape(-1, 2) @ turn2(yaw).T
        above = self.scene.height(at + by) - (height + by @ slope)
        return float(np.clip(above[above < MOST_BUMP].max(initial=0.0), 0.0, MOST_BUMP))

    def _reachable(self, place: Place, side: str, hinges: Array, key: Keyframe) -> bool:
        if key.root.height_mode != "grounded":
            return True
        turned = abs((place.yaw - self.yaw + np.pi) % (2 * np.pi) - np.pi)
        if turned > np.radians(50):
            return False
        quat, height = self.root_of(key, hinges, {f"{side}_foot": place})
        hip = fk([*self.home, height], quat, hinges_to_quats(hinges), self.body)[0][
            JOINT[f"{side}_hip"]
        ]
        far = np.linalg.norm(hip - place.ankle(self.body)[0])
        return bool(far <= REACH * self.body.leg_length)

    def root_of(
        self, key: Keyframe, hinges: Array, contacts: dict[str, Place]
    ) -> tuple[Array, float]:
        """Orientation and height of the pelvis that the posture and the contacts ask for."""
        pitch, roll = key.root.pitch_deg, key.root.roll_deg
        angles = hinges_to_quats(hinges)
        flat = [FOOT_FAMILY[p] for p in contacts if p in FEET]
        level = fk(np.zeros(3), rot.IDENTITY, angles, self.body)
        if pitch is None:
            pitch = 0.0
            if flat and not any(p in SOFT or "knee" in p for p in contacts):
                lean = []
                for side in flat:
                    up = rot.rotate(level[1][JOINT[f"{side}_ankle"]], [0.0, 0.0, 1.0])
                    lean.append(-np.degrees(np.arctan2(up[0], up[2])))
                agree = max(lean) - min(lean) < 10
                pitch = float(np.mean(lean)) if agree else min(lean, key=abs)
                if not agree:  # one foot ahead of the other: the trunk stays near upright
                    pitch = float(np.clip(pitch, -5, 20))
        turn = rot.multiply(
            rot.multiply(rot.yaw_quat(self.yaw), rot.axis_angle([0, 1, 0], np.radians(pitch))),
            rot.axis_angle([1, 0, 0], np.radians(roll or 0.0)),
        )
        if key.root.height_mode == "absolute" and key.root.height is not None:
            return turn, key.root.height + float(self.scene.height(self.home))
        return turn, self._grounded(turn, angles, contacts)

    def _grounded(self, turn: Array, angles: Array, contacts: dict[str, Place]) -> float:
        """Height of the pelvis at which the lowest planted part touches."""
        at = np.array([*self.home, 0.0])
        places, turns = fk(at, turn, angles, self.body)
        wanted = []
        rest = {p: c for p, c in contacts.items() if p not in FOOT_FAMILY}
        for part, place in (rest or contacts).items():
            names = self.body.contact_points[part]
            points = [
                places[self.body.sites[n][0]]
                + rot.rotate(turns[self.body.sites[n][0]], self.body.sites[n][1])
                for n in names
            ]
            lowest = min(points, key=lambda p: p[2])
            if part in FOOT_FAMILY:
                surface = place.position[2]
                if place.pitch:
                    ankle = places[JOINT[f"{FOOT_FAMILY[part]}_ankle"]]
                    lowest, surface = ankle, place.ankle(self.body)[0][2]
            else:
                surface = self.surface_height(place.surface, lowest[:2])
            wanted.append(surface - lowest[2])
        if not wanted:
            if self.knots:
                return float(self.knots[-1].qpos[2])
            return float(self.body.hip_height)
        # feet on different heights: the lower one decides, the other leg bends.
        # other parts: the first to touch decides, so that nothing sinks in
        return float(max(wanted) if rest else min(wanted))

    def surface_height(self, surface: str, at: Array) -> float:
        """Height of a surface near a place, metres."""
        if surface == "floor":
            return 0.0 if self.scene.floor else float(self.scene.height(at))
        if surface in self.body.contact_points:
            return float(self.scene.height(at))
        item = self.scene[surface]
        height = float(item.height(at))
        return item.top if height == -np.inf else height


def turn2(yaw: float) -> Array:
    """The 2 × 2 matrix of a turn to the left."""
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
