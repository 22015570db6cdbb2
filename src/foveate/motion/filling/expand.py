"""Expand: from a plan's keys to knots, each a solved pose with its contacts.

The one thing to know: angles that a plan gives are wishes; what holds is that planted parts stay
where they are, soles lie flat and the weight is over the feet. Inheritance follows the wished
angles, not the solved ones, so corrections do not pile up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import DOF, JOINT, Body, body_of
from ..kinematics import fk, fk_qpos, hinges_to_quats, join_qpos, quats_to_hinges
from ..plan import Contact, Gait, Keyframe, KeyframePlan
from ..pose import Pose, apply_dofs
from ..rotations import Array
from ..scene import Scene
from .goals import EFFECTOR_SITE, Points, add_goals, gaze_dofs, goal_costs
from .knots import FEET, FOOT_FAMILY, SOFT, Knot, Place, into_polygon, support_points
from .solver import Frame, Solver, Wishes, within_limits
from .style import Style

REACH = 1.01  # share of the leg's length beyond which a foot must step
KNEELING = 1.0  # radians: the sole behind a knee on the ground
ROUNDS = 3  # goals that move with the body are aimed at again this often


class Expander:
    """Walks through the keys once and collects knots.

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

    def run(self) -> list[Knot]:
        """All knots, not yet timed."""
        for key in self.plan.keys:
            self.add(key)
        return self.knots

    # ---- one key

    def add(self, key: Keyframe) -> None:
        span = max(0.08, key.t - self.end) if self.knots else 0.0
        hinges = self._wished(key)
        if self.knots:
            for gait in self._approach(key):
                self._gait(gait, key, self.hinges, named=False)
        if key.gait is not None and self.knots:
            self._gait(key.gait, key, hinges, named=True)
            span = max(0.08, min(span, 0.5))
        if key.root.height_mode == "ballistic" and self.knots:
            from .flight import fly

            fly(self, key, hinges)
        else:
            self._stand(key, hinges, span)
        self.hinges = hinges
        self.end = key.t + key.hold
        if key.hold > 0:
            last = self.knots[-1]
            self.knots.append(replace(last, span=key.hold, key="", ease="linear", through=False))

    def _stand(self, key: Keyframe, hinges: Array, span: float) -> None:
        """The ordinary case: one pose with its contacts."""
        moved = key.gait is None or not self.knots
        if moved:
            self.home = self.home + turn2(self.yaw) @ np.array(key.root.travel)
            self.yaw += np.radians(key.root.yaw_deg)
        contacts, explicit = self.contacts_of(key, hinges)
        knot = self.pose(key, hinges, contacts)
        knot.span, knot.key, knot.ease, knot.hold = span, key.id, key.ease, key.hold
        knot.lift = 0.08 if not explicit else 0.09
        self.knots.append(knot)
        self.feet |= knot.feet()

    def _wished(self, key: Keyframe) -> Array:
        """The angles that the key asks for, style included."""
        if key.pose is not None:
            return quats_to_hinges(key.pose.joint_quat, self.hinges)
        base = self.neutral if key.base == "neutral" or not self.knots else self.hinges
        if key.base == "neutral" or not self.knots:
            base = self.style.laid_on(base)
        told = apply_dofs(np.zeros(47), key.dofs) if key.dofs else None
        wished = apply_dofs(base, key.dofs)
        if told is None:
            return wished
        return self.style.amplified(base, wished, self.neutral)

    # ---- contacts

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
        return Place(np.array([*at, height]), yaw, slope)

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

    def _approach(self, key: Keyframe) -> list[Gait]:
        """Steps that must come first: to a far seat, or because the root travels too far."""
        from .gait import approach

        return approach(self, key)

    def _gait(self, gait: Gait, key: Keyframe, hinges: Array, named: bool) -> None:
        from .gait import walk

        walk(self, gait, hinges if named else self.hinges)

    # ---- the pose

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

    def pose(
        self,
        key: Keyframe,
        hinges: Array,
        contacts: dict[str, Place],
        start: Array | None = None,
    ) -> Knot:
        """Solve one key for its contacts, goals and balance."""
        quat, height = self.root_of(key, hinges, contacts)
        seat = self._seat(contacts, quat, hinges)
        at = self.home if seat is None else seat
        qpos = within_limits(join_qpos([*at, height], quat, hinges))
        wishes = Wishes(qpos)
        if key.pose is not None and key.pose.root_pos is not None and not contacts:
            qpos = within_limits(key.pose.to_qpos(self.hinges))
            wishes.qpos = qpos
        only_feet = all(part in FOOT_FAMILY for part in contacts)
        centre = self._centre(key, contacts, qpos)
        if contacts and only_feet:
            wishes.com = np.array([*centre, 0.0])
            wishes.root_cost = (0, 0, 2, 1, 1, 2)
        elif any(part in SOFT for part in contacts) or not contacts:
            wishes.root_cost = (8, 8, 8, 4, 4, 4)
        else:  # on knees or hands: they decide where the pelvis can be
            wishes.root_cost = (1.5, 1.5, 2, 3, 2, 4)
        for part, place in contacts.items():
            if part in FOOT_FAMILY:
                side = FOOT_FAMILY[part]
                wishes.bodies[f"{side}_ankle"] = Frame(*place.ankle(self.body))
                if place.pitch > 0:
                    wishes.qpos[7 + DOF[f"{side}_foot.ext"]] = place.pitch
        self._settle_others(wishes, contacts)
        if key.goals:
            wishes.posture_cost = goal_costs(key.goals)
        solved = qpos if start is None else start
        if wishes.bodies or wishes.sites or key.goals or key.gaze is not None:
            for _ in range(ROUNDS if key.goals or key.gaze is not None else 1):
                points = Points(solved, self.body, self.scene)
                look = gaze_dofs(key, solved, points)
                if look:
                    wishes.qpos[7:] = apply_dofs(wishes.qpos[7:], look)
                add_goals(wishes, key.goals, points)
                solved = self.solver.solve(solved, wishes, 40 if not key.goals else 20)
        contacts = self._touching(solved, contacts)
        if contacts and not only_feet:
            points = support_points(contacts, self.body)
            centre = into_polygon(self.solver.com(solved)[:2], points, 0.0)
        sites = {
            name: frame.position
            for name, frame in wishes.sites.items()
            if frame.position_cost >= 10 and self._fixed(name, key)
        }
        return Knot(0.0, solved, contacts, centre, sites=sites, wishes=wishes)

    def _fixed(self, site: str, key: Keyframe) -> bool:
        """Whether the wish for a site is a place in the world, and not one on the body."""
        for goal in key.goals:
            if goal.kind == "reach" and EFFECTOR_SITE[goal.effector or ""] == site:
                target = goal.target
                moves = ("ahead", "floor")
                return not isinstance(target, str) or target not in (*self.body.sites, *moves)
        return False

    def _centre(self, key: Keyframe, contacts: dict[str, Place], qpos: Array) -> Array:
        """Where the weight should be."""
        feet = {p: c for p, c in contacts.items() if p in FOOT_FAMILY}
        if not contacts:
            return self.home.copy()
        if len(feet) < len(contacts):
            return self.solver.com(qpos)[:2]  # only until the pose is solved
        carrying = feet
        if isinstance(key.support, list):
            carrying = {p: c for p, c in feet.items() if p in key.support} or feet
        middle = np.mean([c.centre(self.body) for c in carrying.values()], axis=0)
        if carrying is feet and len(feet) == 2:
            # feet that stay while the root travels: the weight goes with it as far as it may
            ideal = np.mean([c.position[:2] for c in feet.values()], axis=0)
            shift = self.home - ideal
            if np.linalg.norm(shift) > 0.02:
                points = support_points(feet, self.body)
                return into_polygon(middle + shift, points, 0.035)
        return middle

    def _seat(self, contacts: dict[str, Place], quat: Array, hinges: Array) -> Array | None:
        """Where the pelvis goes on what it sits on, `[2]`; None if it does not sit."""
        for part in ("pelvis", "rump", "back"):
            place = contacts.get(part)
            if place is None:
                continue
            if not np.isnan(place.position).any():
                return self.knots[-1].qpos[:2] if self.knots else place.position[:2]
            if place.surface == "floor":
                return self._behind(contacts, quat, hinges)
            item = self.scene[place.surface]
            local = item.local(self.home)
            half = np.array(item.size[:2]) / 2
            depth = 0.13 * self.body.scale if part == "pelvis" else 0.3
            limit = np.maximum(half - depth, 0.0)
            return item.world(np.clip(local, -limit, limit))
        return None

    def _behind(self, contacts: dict[str, Place], quat: Array, hinges: Array) -> Array | None:
        """Where a pelvis that sits down on the floor leaves the feet where they stand, `[2]`."""
        places = fk(np.zeros(3), quat, hinges_to_quats(hinges), self.body)[0]
        ahead = turn2(self.yaw) @ [1.0, 0.0]
        found = []
        for part, place in contacts.items():
            if part not in FOOT_FAMILY:
                continue
            hip, ankle = (places[JOINT[f"{FOOT_FAMILY[part]}_{name}"]] for name in ("hip", "ankle"))
            stands = place.ankle(self.body)[0]
            drop = -self.body.sites["L_seat_front"][1][2] + hip[2] - stands[2]
            far = np.sqrt(max(np.linalg.norm(ankle - hip) ** 2 - drop**2, 0.01))
            found.append(stands[:2] - far * ahead)
        return np.mean(found, axis=0) if found else None

    def _settle_others(self, wishes: Wishes, contacts: dict[str, Place]) -> None:
        """Hands, knees and elbows that touch: their points go to the surface."""
        for part, place in contacts.items():
            if part in FOOT_FAMILY or part in SOFT:
                continue
            if place.points:
                for site, point in place.points.items():
                    wishes.sites[site] = Frame(point, None, 10.0)
                continue
            points = Points(wishes.qpos, self.body, self.scene)
            for site in self.body.contact_points[part][:1]:
                at = points.site(site)
                if not np.isnan(place.position).any():
                    at = place.position.copy()
                elif place.surface in self.body.contact_points:
                    at = points.site(self.body.contact_points[place.surface][0])
                else:
                    if place.surface != "floor":
                        item = self.scene[place.surface]
                        half = np.array(item.size[:2]) / 2 - 0.04
                        at[:2] = item.world(np.clip(item.local(at[:2]), -half, half))
                    at[2] = self.surface_height(place.surface, at[:2])
                wishes.sites[site] = Frame(at, None, 10.0)

    def _touching(self, qpos: Array, contacts: dict[str, Place]) -> dict[str, Place]:
        """The contacts with the places of their points filled in from the solved pose."""
        places, turns = fk_qpos(qpos, self.body)
        found = {}
        for part, place in contacts.items():
            if part in FOOT_FAMILY or place.points:
                found[part] = place
                continue
            points = {}
            for site in self.body.contact_points[part]:
                joint, local = self.body.sites[site]
                points[site] = places[joint] + rot.rotate(turns[joint], local)
            middle = np.mean(list(points.values()), axis=0)
            found[part] = replace(place, position=middle, points=points)
        return found


def turn2(yaw: float) -> Array:
    """The 2 × 2 matrix of a turn to the left."""
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
