"""The animator's commands: the six of the paper and some more, applied to one key.

The one thing to know: a command changes what the key asks for (angles, goals, contacts, travel) and
the pose is solved again; its result says in plain words what came of it. Commands are data with
checked arguments; nothing a model writes is executed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import rotations as rot
from ..plan import Keyframe, KeyframePlan, PoseGoal
from ..pose import Pose
from .answers import Command

COMMANDS = """\
Commands (name: arguments)
- move_joint: joint, target — turns the segment above a joint so that the joint points to a target
- move_effector: effector, target, offset? — a hand, foot, elbow, knee or the head goes there
- pelvis: forward?, left?, up?, turn_deg?, pitch_deg?, roll_deg?, support? (feet or none)
- roll: joint, deg — turns a limb about its own long axis
- look: azimuth?, elevation?, focus?, zoom? — only changes the next picture (azimuth 180 is the
  front)
- set_dof: dofs {joint.dof: degrees} — absolute
- add_dof: dofs {joint.dof: degrees} — relative
- aim: segment, direction — segment L_upper_arm, L_forearm, L_thigh, L_shank, L_foot, R_…, trunk,
  head
- face: hand (L or R), direction — where the palm looks
- reach: effector, landmark, offset?
- bend: part, amount (slight, half, deep, full)
- mirror: from (left or right) — the other side's arms and legs become its mirror image
- copy_pose: name — squat, half_squat, bow, guard, tpose, overhead, hands_on_hips, arms_crossed,
  surrender, hands_behind, slump
- plant: part, on — planted from here on
- lift: part — no longer planted
- shift_weight: to (left, right, both)
- gaze: target
- undo
- done_all: the whole key is right
Targets are landmarks, objects or [forward, left, up] in metres from the point on the floor under
the
pelvis. Directions: up, down, forward, backward, left, right, inward, outward, or two with a hyphen.
Offsets are [forward, left, up] in metres."""

CHANGES_NOTHING = {"look", "undo", "done", "done_all"}


@dataclass
class Result:
    """What came of a command.

    Attributes:
        ok: Whether it could be applied.
        text: One line for the model.
        done_all: The model says that the whole key is right.
    """

    ok: bool
    text: str
    done_all: bool = False


@dataclass
class View:
    """How the next picture is taken."""

    views: tuple[str, ...] = ("3/4", "side", "front")
    focus: str | None = None


@dataclass
class Desk:
    """One key on the animator's desk.

    Args:
        plan: The plan; keys before `index` are realised.
        index: Of the key that is worked on.
        solve: From the plan up to and including the key to the key's pose.
    """

    plan: KeyframePlan
    index: int
    solve: Callable[[KeyframePlan], Pose]
    view: View = field(default_factory=View)
    history: list[Keyframe] = field(default_factory=list)

    @property
    def key(self) -> Keyframe:
        return self.plan.keys[self.index]

    def pose(self) -> Pose:
        """The pose as it is now."""
        return self.key.pose

    def settle(self) -> None:
        """Solve the key again, from its pose, goals and contacts."""
        keys = [*self.plan.keys[: self.index], self.key]
        trial = self.plan.model_copy(update={"keys": keys, "loop": None})
        self.key.pose = self.solve(trial)

    def apply(self, command: Command) -> Result:
        """Carry out one command; a command that cannot be applied changes nothing."""
        name = command.name.strip().lower().replace(" ", "_")
        from .acting import ACTS

        act = ACTS.get(name)
        if act is None:
            return Result(False, f"there is no command {command.name!r}")
        if name not in CHANGES_NOTHING:
            self.history.append(self.key.model_copy(deep=True))
        try:
            text = act(self, dict(command.args))
            if name not in CHANGES_NOTHING:
                self.settle()
                text += self._clamp()
        except (ValueError, TypeError, KeyError) as error:
            if name not in CHANGES_NOTHING:
                self.plan.keys[self.index] = self.history.pop()
            line = " ".join(str(error).split())[:200]
            what = f"argument {line} is missing" if isinstance(error, KeyError) else line
            return Result(False, f"{name}: {what}")
        return Result(True, f"{name}: {text}" + self._residuals(), name == "done_all")

    def _clamp(self) -> str:
        pose, changed = self.key.pose.clamped()
        self.key.pose = pose
        if not changed:
            return ""
        said = ", ".join(f"{n} {a:.0f} → {b:.0f}" for n, (a, b) in list(changed.items())[:4])
        return f" (kept within range: {said})"

    def _residuals(self) -> str:
        rows = []
        for goal in self.key.goals:
            if goal.kind == "reach" and goal.effector:
                miss = reach_error(self.key.pose, goal, self.plan)
                if miss is not None and miss > 0.03:
                    rows.append(f"{goal.effector} is {100 * miss:.0f} cm from {goal.target}")
        return "; " + "; ".join(rows) if rows else ""


def reach_error(pose: Pose, goal: PoseGoal, plan: KeyframePlan) -> float | None:
    """Metres between an effector and the body landmark it should be at; None for other targets."""
    from ..body import BODY
    from ..filling.goals import EFFECTOR_SITE

    if not isinstance(goal.target, str) or goal.target not in BODY.sites:
        return None
    at, to = pose.sites(EFFECTOR_SITE[goal.effector or ""], goal.target)
    turn = rot.yaw_quat(rot.yaw_of(pose.root_quat))
    return float(np.linalg.norm(to + rot.rotate(turn, np.array(goal.offset, float)) - at))


__all__ = ["COMMANDS", "Desk", "Result", "View", "reach_error"]
