"""What each command of the animator does to the key on the desk; see `commands`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import DOF, DOF_HIGH, JOINT, JOINTS, PARENTS
from ..kinematics import fk
from ..mllm.asking import number
from ..plan import DIRECTIONS, Contact, PoseGoal, Root
from ..pose import Pose
from . import naming
from .commands import Desk, View

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
    joint = _joint(args["joint"])
    parent = PARENTS[joint]
    if parent <= 0:
        raise ValueError(f"{JOINTS[joint]} hangs on the pelvis; use pelvis or move_effector")
    pose = desk.pose()
    places, turns = fk(pose.root_pos, pose.root_quat, pose.joint_quat)
    target = _point(desk, args["target"])
    a, b = places[joint] - places[parent], target - places[parent]
    a, b = a / np.linalg.norm(a), b / max(np.linalg.norm(b), 1e-6)
    axis = np.cross(a, b)
    angle = np.arctan2(np.linalg.norm(axis), a @ b)
    if np.linalg.norm(axis) < 1e-6:
        return f"{JOINTS[joint]} already points there"
    swing = rot.axis_angle(axis / np.linalg.norm(axis), angle)
    above = turns[PARENTS[parent]]
    local = rot.multiply(rot.inverse(above), rot.multiply(swing, turns[parent]))
    _set_joint(desk, parent, local)
    return f"turned the {JOINTS[parent]} by {np.degrees(angle):.0f}°"


def _reach(desk: Desk, args: dict[str, Any]) -> str:
    effector = naming.effector(str(args["effector"]))
    target = args.get("target", args.get("landmark"))
    if target is None:
        raise KeyError("target")
    offset = _vector(args.get("offset", (0, 0, 0)))
    told: Any = (
        tuple(_point(desk, target)) if isinstance(target, (list, tuple)) else _site(desk, target)
    )
    goal = PoseGoal(kind="reach", effector=effector, target=told, offset=tuple(offset))
    _add(desk, goal)
    return f"{effector} goes to {target}"


def _pelvis(desk: Desk, args: dict[str, Any]) -> str:
    key = desk.key
    root = key.root.model_dump()
    forward, left = _number(args, "forward"), _number(args, "left")
    root["travel"] = (root["travel"][0] + forward, root["travel"][1] + left)
    root["yaw_deg"] += _number(args, "turn_deg")
    for name in ("pitch_deg", "roll_deg"):
        if name in args:
            root[name] = _number(args, name)
    free = str(args.get("support", "feet")) == "none"
    if "up" in args and not free:
        desk.key.pose = _lowered(desk.pose(), -_number(args, "up"))
    if free:
        key.contacts = []
        root["height"] = float(desk.pose().root_pos[2]) + _number(args, "up")
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
    joint = _joint(args["joint"])
    degrees = _number(args, "deg", "degrees", "angle")
    local = desk.pose().joint_quat[joint - 1]
    # limbs hang along −z of their own frame at rest, so z is their long axis
    _set_joint(desk, joint, rot.multiply(local, rot.axis_angle([0, 0, 1], np.radians(degrees))))
    return f"rolled the {JOINTS[joint]} by {degrees:.0f}°"


def _look(desk: Desk, args: dict[str, Any]) -> str:
    azimuth = _number(args, "azimuth", default=180.0) % 360
    elevation = _number(args, "elevation", default=-10.0)
    names = {"front": 180.0, "3/4": 150.0, "side": 90.0}
    from ..render import VIEWS

    first = "top" if abs(elevation) > 55 and "top" in VIEWS else min(
        (n for n in names if n in VIEWS), key=lambda n: abs((names[n] - azimuth + 180) % 360 - 180)
    )  # fmt: skip
    rest = [v for v in ("3/4", "side", "front") if v in VIEWS and v != first]
    focus = args.get("focus") or args.get("focus_part")
    desk.view = View((first, *rest)[:3], _site(desk, focus) if focus else None)
    return f"the next picture shows {first}" + (f", close to {focus}" if focus else "")


def _set_dof(desk: Desk, args: dict[str, Any]) -> str:
    found, notes = naming.dofs(args.get("dofs", args))
    if not found:
        raise ValueError("; ".join(notes) or "no angle was given")
    desk.key.pose = desk.pose().with_dofs(found)
    _drop_goals(desk, found)
    return "set " + ", ".join(f"{n} {v:.0f}" for n, v in found.items()) + _noted(notes)


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
    _drop_goals(desk, target)
    return "now " + ", ".join(f"{n} {v:.0f}" for n, v in target.items()) + _noted(notes)


def _aim(desk: Desk, args: dict[str, Any]) -> str:
    segment = str(args["segment"]).strip().replace("left_", "L_").replace("right_", "R_")
    goal = PoseGoal(kind="direction", segment=segment, toward=_direction(args["direction"]))
    _add(desk, goal)
    return f"{segment} points {goal.toward}"


def _face(desk: Desk, args: dict[str, Any]) -> str:
    hand = str(args.get("hand", args.get("palm", "R"))).strip()[:1].upper()
    goal = PoseGoal(kind="palm", hand=hand, toward=_direction(args["direction"]))  # type: ignore[arg-type]
    _add(desk, goal)
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
    kept = [c for c in _contacts(desk) if c.part != part]
    desk.key.contacts = [*kept, Contact(part=part, surface=on)]  # type: ignore[arg-type]
    return f"{part} is planted on {on}"


def _lift(desk: Desk, args: dict[str, Any]) -> str:
    part = naming.contact(naming.planted(str(args.get("part", args.get("foot", "")))))
    desk.key.contacts = [c for c in _contacts(desk) if c.part != part]
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
    desk.key.gaze = word if word in DIRECTIONS else _site(desk, target)
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


def _set_joint(desk: Desk, joint: int, quat: Any) -> None:
    pose = desk.pose()
    quats = pose.joint_quat.copy()
    quats[joint - 1] = rot.unit(quat)
    desk.key.pose = Pose(pose.root_pos, pose.root_quat, quats, pose.hands)


def _add(desk: Desk, goal: PoseGoal) -> None:
    """A goal replaces an earlier one for the same thing."""
    same = ("effector", "segment", "hand", "foot")
    kept = [
        g for g in desk.key.goals
        if g.kind != goal.kind or any(getattr(g, n) != getattr(goal, n) for n in same)
    ]  # fmt: skip
    desk.key.goals = [*kept, goal]


def _drop_goals(desk: Desk, told: dict[str, float]) -> None:
    """Angles that are set by hand win over goals of the same limb."""
    sides = {n[0] for n in told if n[:2] in ("L_", "R_")} | (
        {"L", "R"} if any(n[:2] == "B_" for n in told) else set()
    )
    desk.key.goals = [
        g
        for g in desk.key.goals
        if not any(
            (getattr(g, n) or "").startswith(s)
            for s in sides
            for n in ("effector", "segment", "hand")
        )
    ]


def _contacts(desk: Desk) -> list[Contact]:
    """What is planted at the key, inherited if it does not say."""
    for key in reversed(desk.plan.keys[: desk.index + 1]):
        if key.contacts is not None:
            return [c.model_copy(update={"step": None, "turn_deg": None}) for c in key.contacts]
    return [Contact(part="L_foot"), Contact(part="R_foot")]  # type: ignore[arg-type]


def _joint(name: Any) -> int:
    text = str(name).strip()
    for candidate in (
        text,
        text.replace("left_", "L_").replace("right_", "R_"),
        naming.effector(text),
    ):
        if candidate in JOINT:
            return JOINT[candidate]
    if text.lower().replace("left_", "L_").replace("right_", "R_").endswith("hand"):
        return JOINT[("L" if text.lower().startswith("l") else "R") + "_wrist"]
    raise ValueError(f"unknown joint {name!r}; joints are {', '.join(JOINTS)}")


def _site(desk: Desk, name: Any) -> str:
    objects = [o.name for o in desk.plan.scene.objects] if desk.plan.scene else []
    found = naming.site(str(name), objects)
    from ..body import BODY

    if found not in BODY.sites and found.partition(".")[0] not in (*objects, "floor", "ahead"):
        raise ValueError(
            f"unknown target {name!r}; name a landmark or one of"
            f" {', '.join(objects) or 'no objects'}"
        )
    return found


def _point(desk: Desk, target: Any) -> Any:
    """A place in the world from a landmark or [forward, left, up]."""
    pose = desk.pose()
    if isinstance(target, (list, tuple)):
        turn = rot.yaw_quat(rot.yaw_of(pose.root_quat))
        base = np.array([pose.root_pos[0], pose.root_pos[1], 0.0])
        return base + rot.rotate(turn, np.array(_vector(target)))
    return pose.sites(_site(desk, target))[0]


def _vector(value: Any) -> list[float]:
    found = [number(v) for v in value]
    if len(found) != 3 or not all(isinstance(v, (int, float)) and abs(v) < 5 for v in found):
        raise ValueError(f"{value!r} is no place; expected [forward, left, up] in metres")
    return [float(v) for v in found]


def _number(args: dict[str, Any], *names: str, default: float = 0.0) -> float:
    for name in names:
        if name in args:
            value = number(args[name])
            if (
                not isinstance(value, (int, float))
                or isinstance(value, bool)
                or not np.isfinite(value)
            ):
                raise ValueError(f"{name} is {args[name]!r}; expected a number")
            return float(value)
    return default


def _direction(value: Any) -> str:
    text = str(value).strip().lower().replace(" ", "-").replace("_", "-")
    text = (
        text.replace("forwards", "forward")
        .replace("backwards", "backward")
        .replace("upwards", "up")
    )
    return text.replace("downwards", "down")


def _noted(notes: list[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
