"""Goals and gaze: from "the hand at the mouth" to wishes for the solver.

The one thing to know: many targets move with the body (the mouth, the other hand), so `wishes_of`
is called again after each round of solving, with the pose found so far.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..body import DOFS, JOINT, Body
from ..kinematics import fk_qpos
from ..plan import Keyframe, PoseGoal
from ..rotations import Array
from ..scene import Scene
from .solver import Frame, Wishes

DIRECTION = {
    "up": (0, 0, 1),
    "down": (0, 0, -1),
    "forward": (1, 0, 0),
    "backward": (-1, 0, 0),
    "left": (0, 1, 0),
    "right": (0, -1, 0),
}
EFFECTOR_SITE = {
    **{f"{s}_hand": f"{s}_hand" for s in "LR"},
    **{f"{s}_foot": f"{s}_sole" for s in "LR"},
    **{f"{s}_elbow": f"{s}_elbow" for s in "LR"},
    **{f"{s}_knee": f"{s}_kneecap" for s in "LR"},
    "head": "forehead",
    "pelvis": "pelvis",
}
SEGMENT_ENDS = {
    **{f"{s}_upper_arm": (f"{s}_shoulder", f"{s}_elbow") for s in "LR"},
    **{f"{s}_forearm": (f"{s}_elbow", f"{s}_wrist") for s in "LR"},
    **{f"{s}_thigh": (f"{s}_hip", f"{s}_knee") for s in "LR"},
    **{f"{s}_shank": (f"{s}_knee", f"{s}_ankle") for s in "LR"},
    **{f"{s}_foot": (f"{s}_ankle", f"{s}_toe_tip") for s in "LR"},
    "trunk": ("pelvis", "neck"),
    "head": ("neck", "head_top"),
}
REACH_COST = 12.0


class Points:
    """Where things are for one pose in one scene."""

    def __init__(self, qpos: Array, body: Body, scene: Scene) -> None:
        self.body, self.scene = body, scene
        self.places, self.turns = fk_qpos(qpos, body)
        self.heading = rot.yaw_quat(rot.yaw_of(qpos[3:7]))

    def site(self, name: str) -> Array:
        joint, local = self.body.sites[name]
        return self.places[joint] + rot.rotate(self.turns[joint], local)

    def direction(self, words: str, side: str = "") -> Array:
        """Unit vector of words such as "forward-up", as the character sees it, `[3]`."""
        sideways = {"L": {"inward": "right", "outward": "left"}}.get(
            side, {"inward": "left", "outward": "right"}
        )
        total = np.zeros(3)
        for word in words.split("-"):
            total += DIRECTION[sideways.get(word, word)]
        length = np.linalg.norm(total)
        return rot.rotate(self.heading, total / length if length else np.array([1.0, 0, 0]))

    def target(self, target: str | tuple[float, float, float], effector: str = "") -> Array:
        """Where a target is.

        Raises:
            ValueError: Neither a site, nor an object of the scene, nor a known word.
        """
        if not isinstance(target, str):
            return np.array(target, float)
        if target in self.body.sites:
            return self.site(target)
        if target == "floor":
            place = self.site(EFFECTOR_SITE.get(effector, "pelvis"))
            place[2] = float(self.scene.height(place[:2])) + 0.02
            return place
        if target == "ahead":
            chest = self.site("chest")
            return chest + 0.45 * self.body.scale * self.direction("forward")
        name, _, anchor = target.partition(".")
        if any(item.name == name for item in self.scene.objects):
            return self._anchor(name, anchor or "top")
        raise ValueError(
            f"unknown target {target!r}; expected a site of the body, 'floor', 'ahead', or an "
            f"object of the scene ({', '.join(o.name for o in self.scene.objects) or 'none'})"
        )

    def _anchor(self, name: str, anchor: str) -> Array:
        item = self.scene[name]
        half_x, half_y = item.size[0] / 2, item.size[1] / 2
        height = item.top - item.position[2]
        places = {
            "top": (0, 0, height),
            "seat": (0, 0, height),
            "center": (0, 0, height / 2),
            "front": (half_x, 0, height / 2),
            "back": (-half_x, 0, height / 2),
            "left": (0, half_y, height / 2),
            "right": (0, -half_y, height / 2),
        }
        if anchor not in places:
            raise ValueError(f"unknown anchor {anchor!r} of {name!r}; use {', '.join(places)}")
        return item.world(np.array(places[anchor], float))


def add_goals(wishes: Wishes, goals: list[PoseGoal], points: Points) -> None:
    """Put the goals of a key among the wishes, as they stand for the pose of `points`."""
    for goal in goals:
        _ADD[goal.kind](wishes, goal, points)


def goal_costs(goals: list[PoseGoal]) -> Array:
    """Posture weights that let the limbs with goals move and hold the rest, `[47]`.

    A trunk that moves as readily as the arm would carry a target such as the mouth away with it.
    """
    cost = np.full(len(DOFS), 1.5)
    for goal in goals:
        named = (goal.effector, goal.segment, goal.a, goal.b)
        sides = {name[0] for name in named if name and name[:2] in ("L_", "R_")}
        sides |= {side for side in (goal.hand, goal.foot) if side}
        words = " ".join(name for name in named if name) + (" hand" if goal.hand else "")
        leg = any(word in words for word in ("foot", "knee", "thigh", "shank"))
        for index, dof in enumerate(DOFS):
            limb = dof.name[0] in sides and dof.name[1] == "_"
            if limb and leg == any(w in dof.name for w in ("hip", "knee", "ankle", "foot")):
                cost[index] = 0.1
            if not sides and dof.name[1] != "_":  # the trunk's or the head's own goals
                cost[index] = 0.3
    return cost


def _reach(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    effector = goal.effector or ""
    place = points.target(goal.target or "ahead", effector)
    place = place + rot.rotate(points.heading, np.array(goal.offset))
    wishes.sites[EFFECTOR_SITE[effector]] = Frame(place, None, REACH_COST * goal.weight)


def _direction(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    start, end = SEGMENT_ENDS[goal.segment or ""]
    a, b = points.site(start), points.site(end)
    side = (goal.segment or "")[0] if (goal.segment or "")[1:2] == "_" else ""
    place = a + np.linalg.norm(b - a) * points.direction(goal.toward or "", side)
    wishes.sites[end] = Frame(place, None, REACH_COST * goal.weight)


def _distance(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    a, b = points.site(goal.a or ""), points.site(goal.b or "")
    apart = np.linalg.norm(b - a)
    along = (b - a) / apart if apart > 1e-6 else points.direction("left")
    middle, half = (a + b) / 2, (goal.metres or 0.0) / 2
    wishes.sites[goal.a or ""] = Frame(middle - half * along, None, REACH_COST * goal.weight)
    wishes.sites[goal.b or ""] = Frame(middle + half * along, None, REACH_COST * goal.weight)


def _height(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    place = points.site(goal.effector or "")
    place[2] = float(points.scene.height(place[:2])) + (goal.metres or 0.0)
    wishes.sites[goal.effector or ""] = Frame(place, None, REACH_COST * goal.weight)


def _palm(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    side = goal.hand or "R"
    joint = JOINT[f"{side}_wrist"]
    toward = goal.toward or "down"
    if toward in points.body.sites:
        way = points.site(toward) - points.places[joint]
    else:
        way = points.direction(toward, side)
    now = points.turns[joint]
    normal = rot.rotate(now, np.array([0.0, -1.0 if side == "L" else 1.0, 0.0]))
    turned = rot.multiply(_between(normal, way), now)
    wishes.bodies[f"{side}_wrist"] = Frame(points.places[joint], turned, 0.0, 2.0 * goal.weight)


def _flat(wishes: Wishes, goal: PoseGoal, points: Points) -> None:
    joint = JOINT[f"{goal.foot}_ankle"]
    level = rot.yaw_quat(rot.yaw_of(points.turns[joint]))
    wishes.bodies[f"{goal.foot}_ankle"] = Frame(points.places[joint], level, 0.0, 3.0 * goal.weight)


_ADD = {
    "reach": _reach,
    "direction": _direction,
    "distance": _distance,
    "height": _height,
    "palm": _palm,
    "flat": _flat,
}


def _between(a: Array, b: Array) -> Array:
    """The shortest rotation that turns direction a into direction b."""
    a, b = a / np.linalg.norm(a), b / max(np.linalg.norm(b), 1e-9)
    axis = np.cross(a, b)
    sine, cosine = np.linalg.norm(axis), float(a @ b)
    if sine < 1e-9:
        if cosine > 0:
            return rot.IDENTITY
        axis, sine = np.cross(a, [0.3, 0.5, 0.8]), 0.0
        return rot.exp(np.pi * axis / np.linalg.norm(axis))
    return rot.exp(axis / sine * np.arctan2(sine, cosine))


def gaze_dofs(key: Keyframe, qpos: Array, points: Points) -> dict[str, float]:
    """Angles of neck and head that look at the key's gaze target, in degrees."""
    if key.gaze is None:
        return {}
    if isinstance(key.gaze, str) and set(key.gaze.split("-")) <= set(DIRECTION):
        way = points.direction(key.gaze)
    else:
        way = points.target(key.gaze) - points.site("eyes")
    chest = points.turns[JOINT["spine3"]]
    x, y, z = rot.rotate(rot.inverse(chest), way)
    turn = np.degrees(np.arctan2(y, max(x, 1e-6) if abs(y) < 1e-6 else x))
    nod = np.degrees(np.arctan2(-z, np.hypot(x, y)))
    return {
        "head_look.rot": float(np.clip(turn, -70, 70)),
        "head_look.flex": float(np.clip(nod, -55, 55)),
    }
