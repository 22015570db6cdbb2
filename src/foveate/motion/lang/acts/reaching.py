"""Reaching for things that stand in the scene, and to where the text says.

The one thing to know: a large thing is reached at the point of its upper edge nearest to the body,
a small one from the side, with the palm to it; who stands too far away or turned away goes there
first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...scene import SceneObject
from ..poses import BODY
from .arms import POINTS, point
from .common import WORD, Frame, State, Step, angles, arm_side, arms_down, step

NEAR = 0.52
"""Metres ahead of the body's middle at which a hand works without a step."""
SHOULDER = 0.2
"""Metres from the middle of the body to a shoulder."""
GAP = 0.01
"""Metres between a palm and what it is laid to."""
BESIDE = (0.1, 0.1, 0.04)
"""(back, outwards, up) from there, metres: where a hand is before it closes in on a small thing."""
HEIGHT = 1.72
"""Stature that the heights of shoulders are judged by, metres."""


def thing_of(f: Frame, s: State) -> str | None:
    """Name of the thing of the scene that the text speaks of, if it is within the scene."""
    for _, word, _ in f.objects:
        for name, entry in s.scene.items():
            if "reach" in entry.affordances and name.split()[0] == word:
                return name
    return None


def place_of(item: SceneObject, s: State) -> tuple[float, float, float]:
    """The point to touch: (ahead, left) of the body as it stands, and the height, metres."""
    yaw = math.radians(s.where[2])
    here = np.array(s.where[:2])
    near = item.local(here)
    half = np.array(item.size[:2]) / 2
    inset = np.minimum(half, 0.04)
    at = item.world(np.clip(near, -half + inset, half - inset))
    height = item.top - (0.4 * item.size[2] if small(item) else -0.02)
    by = at - here
    return (
        float(by[0] * math.cos(yaw) + by[1] * math.sin(yaw)),
        float(by[1] * math.cos(yaw) - by[0] * math.sin(yaw)),
        float(height),
    )


def go_near(s: State, name: str) -> list[Step]:
    """Turn and steps to where the thing is within reach; the state is not moved."""
    ahead, left, _ = place_of(s.scene[name], s)
    turn = math.degrees(math.atan2(left, ahead))
    far = math.hypot(ahead, left)
    made = []
    if abs(turn) > 50:
        told = {"kind": "turn", "turn_deg": round(turn, 1)}
        made.append(Step(1.0 + abs(turn) / 90, {}, f"turns to the {name}", gait=told))
        turn = 0.0
    if far > NEAR + 0.1:
        gait = {"kind": "walk", "distance": round(far - NEAR, 3)}
        if abs(turn) > 12:
            gait["turn_deg"] = round(turn, 1)
        made.append(Step(0.9 + 1.3 * (far - NEAR), {}, f"steps to the {name}", gait=gait))
    return made


def after(s: State, made: list[Step]) -> State:
    """The state once these steps are done, for looking where things are then."""
    from ..writing import moved

    found = s.copy()
    for st in made:
        found.where = moved(found.where, st)
    return found


def hand_to(s: State, name: str, side: str, text: str) -> Step:
    """The step that brings a hand to a thing within reach."""
    ahead, left, height = place_of(s.scene[name], s)
    item = s.scene[name]
    drop = max(0.0, 0.84 * HEIGHT - height)
    far = math.hypot(max(ahead, 0.1), drop)
    bend = min(max((far - 0.6) * 110.0, 0.0), 60.0) + (12.0 if height < 0.6 else 0.0)
    hips = bend * 0.6
    knees = 14.0 + (40.0 if height < 0.6 else 0.0)
    elevation = math.degrees(math.atan2(max(ahead, 0.1), max(drop, 0.05)))
    told = (
        f"A_shoulder elev {min(elevation, 100.0):.0f} plane 84, A_elbow 14, torso {bend:.0f}, "
        f"B_hip {9 + hips:.0f}, B_knee {knees:.0f}, B_ankle {5 + (knees - 14) * 0.3:.0f}, "
        "head_look 12"
    )
    made = step(0.9, text, told, side, steady=True)
    yaw = math.radians(s.where[2])
    for hand in "LR" if side == "B" else side:
        if small(item):
            made.goals += grip(item, s, hand)
            continue
        spread = 0.14 if side == "B" else 0.16
        y = left + (spread if hand == "L" else -spread)
        at = (
            round(s.where[0] + ahead * math.cos(yaw) - y * math.sin(yaw), 3),
            round(s.where[1] + ahead * math.sin(yaw) + y * math.cos(yaw), 3),
            round(height, 3),
        )
        made.goals.append({"kind": "reach", "effector": f"{hand}_hand", "target": at})
    return made


def small(item: SceneObject) -> bool:
    """Whether a hand goes around a thing and not onto it."""
    return max(item.size[:2]) < 0.2


def grip(item: SceneObject, s: State, hand: str, away: tuple[float, float, float] = (0, 0, 0)
         ) -> list[dict[str, Any]]:  # fmt: skip
    """Goals of a palm laid to a small thing's side, its own side of the body.

    Args:
        item: The thing.
        s: Where the body stands.
        hand: "L" or "R".
        away: (back, outwards, up) from there, metres: a place on the way.
    """
    sign = 1.0 if hand == "L" else -1.0
    yaw = math.radians(s.where[2])
    ahead = np.array([math.cos(yaw), math.sin(yaw)])
    left = np.array([-ahead[1], ahead[0]])
    centre = np.array(item.position[:2])
    arm = centre - np.array(s.where[:2]) - sign * SHOULDER * left
    arm /= max(float(np.linalg.norm(arm)), 1e-6)
    out = sign * np.array([-arm[1], arm[0]])
    deep = item.size[0] / 2
    if item.shape == "box":
        across = np.abs(item.local(centre + out))
        deep = float(np.min(np.array(item.size[:2]) / 2 / np.maximum(across, 1e-6)))
    at = centre + (deep + GAP + away[1]) * out - away[0] * ahead
    height = item.top - 0.3 * item.size[2] + away[2]
    target = (round(float(at[0]), 3), round(float(at[1]), 3), round(float(height), 3))
    return [
        {"kind": "reach", "effector": f"{hand}_hand", "target": target},
        {"kind": "palm", "hand": hand, "toward": "inward", "weight": 3.0},
    ]


def reach_thing(f: Frame, s: State, name: str, verb: str = "reaches for") -> list[Step]:
    """Near, the hand there (beside a small thing first), and back the same way."""
    side = arm_side(f)
    item = s.scene[name]
    before = go_near(s, name)
    stands = after(s, before)
    there = hand_to(stands, name, side, f"{verb} the {name}")
    there.hold = f.seconds or 0.7
    back = {n: s.base(n) for n in there.dofs} | arms_down(*(side if side != "B" else "LR"))
    made = [*before, there]
    if small(item):
        beside = hand_to(stands, name, side, f"the hand goes beside the {name}")
        beside.goals = [
            goal for hand in ("LR" if side == "B" else side)
            for goal in grip(item, stands, hand, BESIDE)
        ]  # fmt: skip
        there.dt = 0.5
        made = [*before, beside, there]
    return [*made, Step(0.9, back, "draws the hand back", free=True)]


def reach(f: Frame, s: State) -> list[Step]:
    """A hand goes out to where the text says, or to a thing of the scene."""
    low = [limb for limb in f.limbs if limb.part in ("knee", "toe", "foot")]
    if any(limb.prep != "on" for limb in low):  # "on tiptoe" is no place to reach
        from .hands import touch_

        return touch_(f, s)
    name = thing_of(f, s)
    if name is not None:
        return reach_thing(f, s, name, "touches" if f.verb == "touch" else "reaches for")
    side = arm_side(f)
    where = f.direction("forward")
    if f.object("sky"):
        where = "up"
    if f.object("floor"):
        where = "down"
    if where in ("left", "right"):
        return point(f, s)
    told = {
        "up": BODY["overhead"].replace("B_", "A_") + ", head_look -16, torso -4",
        "down": "A_shoulder elev 55 plane 85, A_elbow 4, B_hip 60, B_knee 55, B_ankle 16, torso 45",
        "out": POINTS["out"],
        "side": POINTS["side"],
        "back": POINTS["back"],
        "across": POINTS["across"],
    }.get({"overhead": "up"}.get(where, where), "A_shoulder elev 84 plane 86, A_elbow 6, torso 10")
    dofs = angles(told, side)
    made = Step(0.8, dofs, f"reaches {where} with the {WORD[side]} hand", hold=f.seconds or 0.7)
    if side == "B":
        made.text = f"reaches {where} with both hands"
    back = Step(
        0.8,
        {n: s.base(n) for n in dofs} | arms_down(*(side if side != "B" else "LR")),
        "draws the hand back",
        free=True,
    )
    return [made, back]
