"""What each command of the animator does to the key on the desk; see `commands`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import DOF, DOF_HIGH, JOINT, JOINTS, PARENTS
from ..kinematics import fk
from ..plan import DIRECTIONS, Contact, PoseGoal, Root
from ..pose import Pose
from . import naming
from .commands import Desk, View
from .handles import (
    add_goal,
    contacts_of,
    direction_of,
    drop_goals,
    joint_named,
    noted,
    number_of,
    point_of,
    set_joint,
    site_named,
    vector_of,
)

AMOUNTS = {"slight": 0.2, "half": 0.5, "deep": 0.75, "full": 0.95}


BENDS = {
    "arm": "elbow.flex",
    "elbow": "elbow.flex",
    "hand": "wrist.flex",
    "wrist": "wrist.flex",
    "leg": "knee.flex",
    "knee": "knee.flex",
    "hip": "hip.flex",
    "foot": "ankle.dorsi",
}


def _move_joint(desk: Desk, args: dict[str, Any]) -> str:
    joint = joint_named(args["joint"])
    parent = PARENTS[joint]
    if parent <= 0:
        raise ValueError(f"{JOINTS[joint]} hangs on the pelvis; use pelvis or move_effector")
    pose = desk.pose()
    places, turns = fk(pose.root_pos, pose.root_quat, pose.joint_quat)
    target = point_of(desk, args["target"])
    a, b = places[joint] - places[parent], target - places[parent]
    a, b = a / np.linalg.norm(a), b / max(np.linalg.norm(b), 1e-6)
    axis = np.cross(a, b)
    angle = np.arctan2(np.linalg.norm(axis), a @ b)
    if np.linalg.norm(axis) < 1e-6:
        return f"{JOINTS[joint]} already points there"
    swing = rot.axis_angle(axis / np.linalg.norm(axis), angle)
    above = turns[PARENTS[parent]]
    local = rot.multiply(rot.inverse(above), rot.multiply(swing, turns[parent]))
    set_joint(desk, parent, local)
    return f"turned the {JOINTS[parent]} by {np.degrees(angle):.0f}°"


def _reach(desk: Desk, args: dict[str, Any]) -> str:
    effector = naming.effector(str(args["effector"]))
    target = args.get("target", args.get("landmark"))
    if target is None:
        raise KeyError("target")
    offset = vector_of(args.get("offset", (0, 0, 0)))
    told: Any = (
        tuple(point_of(desk, target))
        if isinstance(target, (list, tuple))
        else site_named(desk, target)
    )
    goal = PoseGoal(kind="reach", effector=effector, target=told, offset=tuple(offset))
    add_goal(desk, goal)
    return f"{effector} goes to {target}"


def _pelvis(desk: Desk, args: dict[str, Any]) -> str:
    key = desk.key
    root = key.root.model_dump()
    forward, left = number_of(args, "forward"), number_of(args, "left")
    root["travel"] = (root["travel"][0] + forward, root["travel"][1] + left)
    root["yaw_deg"] += number_of(args, "turn_deg")
    for name in ("pitch_deg", "roll_deg"):
        if name in args:
            root[name] = number_of(args, name)
    free = str(args.get("support", "feet")) == "none"
    if "up" in args and not free:
        desk.key.pose = _lowered(desk.pose(), -number_of(args, "up"))
    if free:
        key.contacts = []
        root["height"] = float(desk.pose().root_pos[2]) + number_of(args, "up")
        root["height_mode"] = "absolute"
    key.root = Root.model_validate(root)
    return "moved the pelvis"


def _lowered(pose: Pose, down: float) -> Pose:
    """The pelvis this much lower over feet that stay: knees bend (or straighten) to match.

    For thigh and shank of length l the distance from hip to ankle is 2 l cos(knee / 2).
    """
    now = pose.to_dofs()
    hip, knee, ankle = pose.fk()[[1, 4, 7]]
    length = (np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)) / 2
    told = {}
    for side in "LR":
        bent = np.radians(now[f"{side}_knee.flex"])
        share = np.clip(np.cos(bent / 2) - down / (2 * length), 0.25, 0.999)
        more = np.degrees(2 * np.arccos(share) - bent)
        told[f"{side}_knee.flex"] = now[f"{side}_knee.flex"] + more
        told[f"{side}_hip.flex"] = now[f"{side}_hip.flex"] + more / 2
        told[f"{side}_ankle.dorsi"] = min(now[f"{side}_ankle.dorsi"] + more / 2, 34.0)
    return pose.with_dofs(told)


def _roll(desk: Desk, args: dict[str, Any]) -> str:
    joint = joint_named(args["joint"])
    degrees = number_of(args, "deg", "degrees", "angle")
    local = desk.pose().joint_quat[joint - 1]
    # limbs hang along −z of their own frame at rest, so z is their long axis
    set_joint(desk, joint, rot.multiply(local, rot.axis_angle([0, 0, 1], np.radians(degrees))))
    return f"rolled the {JOINTS[joint]} by {degrees:.0f}°"


def _look(desk: Desk, args: dict[str, Any]) -> str:
    azimuth = number_of(args, "azimuth", default=180.0) % 360
    elevation = number_of(args, "elevation", default=-10.0)
    names = {"front": 180.0, "3/4": 150.0, "side": 90.0}
    from ..render import VIEWS

    first = "top" if abs(elevation) > 55 and "top" in VIEWS else min(
        (n for n in names if n in VIEWS), key=lambda n: abs((names[n] - azimuth + 180) % 360 - 180)
    )  # fmt: skip
    rest = [v for v in ("3/4", "side", "front") if v in VIEWS and v != first]
    focus = args.get("focus") or args.get("focus_part")
    desk.view = View((first, *rest)[:3], site_named(desk, focus) if focus else None)
    return f"the next picture shows {first}" + (f", close to {focus}" if focus else "")


def _set_dof(desk: Desk, args: dict[str, Any]) -> str:
    found, notes = naming.dofs(args.get("dofs", args))
    if not found:
        raise ValueError("; ".join(notes) or "no angle was given")
    desk.key.pose = desk.pose().with_dofs(found)
    drop_goals(desk, found)
    return "set " + ", ".join(f"{n} {v:.0f}" for n, v in found.items()) + noted(notes)


def _add_dof(desk: Desk, args: dict[str, Any]) -> str:
    found, notes = naming.dofs(args.get("dofs", args))
    if not found:
        raise ValueError("; ".join(notes) or "no angle was given")
    now = desk.pose().to_dofs()
    sides = {"L": 1, "R": -1}
    for side in sides:
        told = desk.pose().shoulder(side)
        now |= {
            f"{side}_shoulder.{w}": v
            for w, v in zip(("elevation", "plane", "axial"), told, strict=True)
        }
    for virtual, real in (("torso", "spine1 spine2 spine3"), ("head_look", "neck head")):
        for d in ("flex", "lat", "rot"):
            now[f"{virtual}.{d}"] = sum(now[f"{r}.{d}"] for r in real.split())
    target = {}
    for name, change in found.items():
        for full in [name] if name[:2] != "B_" else ["L_" + name[2:], "R_" + name[2:]]:
            target[full] = now[full] + change
    desk.key.pose = desk.pose().with_dofs(target)
    drop_goals(desk, target)
    return "now " + ", ".join(f"{n} {v:.0f}" for n, v in target.items()) + noted(notes)


def _aim(desk: Desk, args: dict[str, Any]) -> str:
    segment = str(args["segment"]).strip().replace("left_", "L_").replace("right_", "R_")
    goal = PoseGoal(kind="direction", segment=segment, toward=direction_of(args["direction"]))
    add_goal(desk, goal)
    return f"{segment} points {goal.toward}"


def _face(desk: Desk, args: dict[str, Any]) -> str:
    hand = str(args.get("hand", args.get("palm", "R"))).strip()[:1].upper()
    goal = PoseGoal(kind="palm", hand=hand, toward=direction_of(args["direction"]))  # type: ignore[arg-type]
    add_goal(desk, goal)
    return f"the {hand} palm faces {goal.toward}"


def _bend(desk: Desk, args: dict[str, Any]) -> str:
    part = str(args["part"]).strip().lower().replace(" ", "_")
    share = AMOUNTS.get(str(args.get("amount", "half")).lower())
    if share is None:
        raise ValueError(f"amount is {args.get('amount')!r}; expected {', '.join(AMOUNTS)}")
    side = (
        "L_"
        if part.startswith(("left", "l_"))
        else "R_"
        if part.startswith(("right", "r_"))
        else "B_"
    )
    plain = part.removeprefix("left_").removeprefix("right_").removeprefix("l_").removeprefix("r_")
    if plain in ("torso", "trunk", "back", "spine"):
        told = {"torso.flex": 90 * share}
    elif plain in ("head", "neck"):
        told = {"head_look.flex": 50 * share}
    elif plain in BENDS:
        name = side + BENDS[plain]
        high = float(np.degrees(DOF_HIGH[DOF[name.replace("B_", "L_")]]))
        told = {name: high * share}
    else:
        raise ValueError(f"cannot bend {part!r}; parts are torso, head, {', '.join(BENDS)}")
    desk.key.pose = desk.pose().with_dofs(told)
    return f"bent the {part}"


def _mirror(desk: Desk, args: dict[str, Any]) -> str:
    source = str(args.get("from", "left")).strip().lower()[:1]
    if source not in "lr" or not source:
        raise ValueError(f"from is {args.get('from')!r}; expected left or right")
    pose = desk.pose()
    other = pose.mirror()
    quats = pose.joint_quat.copy()
    for name, joint in JOINT.items():
        if name[:2] == ("R_" if source == "l" else "L_"):
            quats[joint - 1] = other.joint_quat[joint - 1]
    desk.key.pose = Pose(pose.root_pos, pose.root_quat, quats, pose.hands)
    return f"the other side mirrors the {'left' if source == 'l' else 'right'}"


def _copy_pose(desk: Desk, args: dict[str, Any]) -> str:
    from ..lang.poses import pose

    side = str(args.get("side", "R")).strip()[:1].upper() or "R"
    desk.key.pose = desk.pose().with_dofs(pose(str(args["name"]), side))
    return f"took the pose {args['name']}"


def _plant(desk: Desk, args: dict[str, Any]) -> str:
    part = naming.contact(naming.planted(str(args["part"])))
    on = str(args.get("on", "floor"))
    objects = [o.name for o in desk.plan.scene.objects] if desk.plan.scene else []
    if on not in ("floor", *objects):
        raise ValueError(f"nothing is called {on!r}; there are {', '.join(['floor', *objects])}")
    kept = [c for c in contacts_of(desk) if c.part != part]
    desk.key.contacts = [*kept, Contact(part=part, surface=on)]  # type: ignore[arg-type]
    return f"{part} is planted on {on}"


def _lift(desk: Desk, args: dict[str, Any]) -> str:
    part = naming.contact(naming.planted(str(args.get("part", args.get("foot", "")))))
    desk.key.contacts = [c for c in contacts_of(desk) if c.part != part]
    return f"{part} is free"


def _shift_weight(desk: Desk, args: dict[str, Any]) -> str:
    to = str(args.get("to", "both")).lower().removesuffix("_foot")
    support = {"left": ["L_foot"], "right": ["R_foot"], "both": "auto"}.get(to)
    if support is None:
        raise ValueError(f"to is {to!r}; expected left, right or both")
    desk.key.support = support  # type: ignore[assignment]
    return f"the weight is on {to}"


def _gaze(desk: Desk, args: dict[str, Any]) -> str:
    target = args["target"]
    word = str(target).strip().lower()
    desk.key.gaze = word if word in DIRECTIONS else site_named(desk, target)
    return f"looks at {desk.key.gaze}"


def _undo(desk: Desk, args: dict[str, Any]) -> str:
    if not desk.history:
        raise ValueError("there is nothing to undo")
    desk.plan.keys[desk.index] = desk.history.pop()
    return "the last change is undone"


ACTS: dict[str, Callable[[Desk, dict[str, Any]], str]] = {
    "move_joint": _move_joint, "move_effector": _reach, "pelvis": _pelvis, "roll": _roll,
    "look": _look, "set_dof": _set_dof, "add_dof": _add_dof, "aim": _aim, "face": _face,
    "reach": _reach, "bend": _bend, "mirror": _mirror, "copy_pose": _copy_pose, "plant": _plant,
    "lift": _lift, "shift_weight": _shift_weight, "gaze": _gaze, "undo": _undo,
    "done": lambda desk, args: "done", "done_all": lambda desk, args: "done with the key",
}  # fmt: skip
