"""What the commands of the animator hold on to: joints, sites, points, directions, goals.

The one thing to know: names and numbers come from a model; each is read tolerantly or refused with
the names that exist.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import rotations as rot
from ..body import JOINT, JOINTS
from ..mllm.asking import number
from ..plan import Contact, PoseGoal
from ..pose import Pose
from . import naming
from .commands import Desk


def set_joint(desk: Desk, joint: int, quat: Any) -> None:
    pose = desk.pose()
    quats = pose.joint_quat.copy()
    quats[joint - 1] = rot.unit(quat)
    desk.key.pose = Pose(pose.root_pos, pose.root_quat, quats, pose.hands)


def add_goal(desk: Desk, goal: PoseGoal) -> None:
    """A goal replaces an earlier one for the same thing."""
    same = ("effector", "segment", "hand", "foot")
    kept = [
        g for g in desk.key.goals
        if g.kind != goal.kind or any(getattr(g, n) != getattr(goal, n) for n in same)
    ]  # fmt: skip
    desk.key.goals = [*kept, goal]


def drop_goals(desk: Desk, told: dict[str, float]) -> None:
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


def contacts_of(desk: Desk) -> list[Contact]:
    """What is planted at the key, inherited if it does not say."""
    for key in reversed(desk.plan.keys[: desk.index + 1]):
        if key.contacts is not None:
            return [c.model_copy(update={"step": None, "turn_deg": None}) for c in key.contacts]
    return [Contact(part="L_foot"), Contact(part="R_foot")]  # type: ignore[arg-type]


def joint_named(name: Any) -> int:
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


def site_named(desk: Desk, name: Any) -> str:
    objects = [o.name for o in desk.plan.scene.objects] if desk.plan.scene else []
    found = naming.site(str(name), objects)
    from ..body import BODY

    if found not in BODY.sites and found.partition(".")[0] not in (*objects, "floor", "ahead"):
        raise ValueError(
            f"unknown target {name!r}; name a landmark or one of"
            f" {', '.join(objects) or 'no objects'}"
        )
    return found


def point_of(desk: Desk, target: Any) -> Any:
    """A place in the world from a landmark or [forward, left, up]."""
    pose = desk.pose()
    if isinstance(target, (list, tuple)):
        turn = rot.yaw_quat(rot.yaw_of(pose.root_quat))
        base = np.array([pose.root_pos[0], pose.root_pos[1], 0.0])
        return base + rot.rotate(turn, np.array(vector_of(target)))
    return pose.sites(site_named(desk, target))[0]


def vector_of(value: Any) -> list[float]:
    found = [number(v) for v in value]
    if len(found) != 3 or not all(isinstance(v, (int, float)) and abs(v) < 5 for v in found):
        raise ValueError(f"{value!r} is no place; expected [forward, left, up] in metres")
    return [float(v) for v in found]


def number_of(args: dict[str, Any], *names: str, default: float = 0.0) -> float:
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


def direction_of(value: Any) -> str:
    text = str(value).strip().lower().replace(" ", "-").replace("_", "-")
    text = (
        text.replace("forwards", "forward")
        .replace("backwards", "backward")
        .replace("upwards", "up")
    )
    return text.replace("downwards", "down")


def noted(notes: list[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
