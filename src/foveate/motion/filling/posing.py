"""Posing: one key solved for its contacts, goals and balance.

The one thing to know: the angles of a key are wishes; planted parts, flat soles and the weight over
the feet go before them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import DOF, JOINT
from ..kinematics import fk, fk_qpos, hinges_to_quats, join_qpos
from ..plan import Keyframe
from ..pose import apply_dofs
from ..rotations import Array
from .goals import EFFECTOR_SITE, Points, add_goals, gaze_dofs, goal_costs
from .knots import FOOT_FAMILY, SOFT, Knot, Place, into_polygon, support_points
from .placing import Placing, turn2
from .rolling import rolled
from .solver import Frame, Wishes, within_limits

ROUNDS = 3  # goals that move with the body are aimed at again this often


class Posing(Placing):
    """Solves poses of keys."""

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
                if not self.knots:
                    return place.position[:2]
                last = self.knots[-1].qpos
                return last[:2] + rolled(last[3:7], quat, self.body)
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
                sole = contacts.get(f"{part[0]}_toes") if part.endswith("_knee") else None
                if sole is not None and place.surface == "floor":
                    at = self._kneecap(site, sole)
                elif not np.isnan(place.position).any():
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

    def _kneecap(self, site: str, sole: Place) -> Array:
        """Where a kneecap touches the ground in front of a foot that stands on its toes, `[3]`."""
        body = self.body
        ankle = sole.ankle(body)[0]
        shank = float(np.linalg.norm(body.offsets[JOINT["L_ankle"]]))
        round_knee = (JOINT["L_hip"], JOINT["L_knee"])  # thigh and shank end there
        thick = max(g.size[0] for g in body.geoms if g.joint in round_knee and g.b is not None)
        rise = ankle[2] - sole.position[2] - thick
        ahead = np.array([*sole.forward(), 0.0])
        knee = ankle - [0, 0, rise] + np.sqrt(max(shank**2 - rise**2, 0.01)) * ahead
        down = (ankle - knee) / shank  # along the shank
        front = np.cross(np.cross([0.0, 0.0, 1.0], ahead), -down)
        local = body.sites[site][1]
        return knee + local[0] * front - local[2] * down

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
