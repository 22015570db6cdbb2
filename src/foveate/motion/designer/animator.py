"""The animator: gives every key its pose, in a loop with pictures, in one go, or by the solver
alone.

The one thing to know: the solver always has the last word, so that planted feet stay planted and
the weight is where it can be; a model only says what it wants. A spent budget or a broken answer
leaves the best poses so far, and the plan's notes say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import rotations as rot
from ..plan import Keyframe, KeyframePlan
from ..pose import Pose
from . import naming, prompts
from .answers import AnimatorTurn
from .commands import COMMANDS, Desk, View
from .critic import shown
from .directing import direct_poses

if TYPE_CHECKING:
    from ..mllm import Budget, Provider

ORDER = (
    "pelvis",
    "left_leg",
    "right_leg",
    "left_foot",
    "right_foot",
    "torso",
    "left_arm",
    "right_arm",
    "head",
    "left_hand",
    "right_hand",
)
"""From the middle outwards, so that later parts do not undo earlier ones."""
MAX_ADJUST = 5  # of one part; the paper's number
MAX_COMMANDS = 12  # of one key
STILL = np.radians(3.0)  # a part that moves less than this in two turns is finished


def animate(
    plan: KeyframePlan,
    provider: Provider | str | None = None,
    feedback: str = "direct",
    *,
    critic: bool = True,
    budget: Budget | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> KeyframePlan:
    """The plan with a pose for every key.

    Args:
        plan: From `design`, or by hand.
        provider: A model, or None for the solver alone.
        feedback: "loop" (the paper's: command, picture, command …), "direct" (angles for all keys
        in
            one answer, one look by the critic) or "none" (no model).
        critic: Whether the model also judges the result; what it finds is mended once.
        budget: Limits.
        seed: Passed to providers that take one.
        progress: Called with what is being done.

    Raises:
        ValueError: feedback is none of the three, or the plan cannot be posed.
        Unreachable, Refused: The model.
    """
    from ..filling import realize
    from ..mllm import Metered, connect

    if feedback not in ("loop", "direct", "none"):
        raise ValueError(f'feedback is {feedback!r}; expected "loop", "direct" or "none"')
    if provider is None or feedback == "none":
        return realize(plan)
    asked = connect(provider) if isinstance(provider, str) else provider
    metered = asked if isinstance(asked, Metered) else Metered(asked, budget)
    made = plan.model_copy(deep=True)
    work = _loop if feedback == "loop" else direct_poses
    return work(made, metered, critic, seed, progress)


def picture(pose: Pose, plan: KeyframePlan, provider: Any, ghost: Pose | None = None,
            view: View | None = None) -> bytes | None:  # fmt: skip
    """What the model is shown of a pose, as PNG; None for a model that cannot see."""
    if not provider.capabilities.vision:
        return None
    from ..render import VIEWS, png, pose_picture

    seen = view or View()
    views = [v for v in seen.views if v in VIEWS] or list(VIEWS)[:3]
    from ..body import body_of

    return png(
        pose_picture(pose, body_of(plan.body), scene=plan.scene, ghost=ghost, focus=seen.focus,
                     views=views, size=320)
    )  # fmt: skip


# ---- direct


# ---- loop


def _loop(
    plan: KeyframePlan,
    provider: Any,
    critic: bool,
    seed: int,
    progress: Callable[[str], None] | None,
) -> KeyframePlan:
    """Key by key, part by part: command, picture, command … (FreeMotion §3.2)."""
    from ..filling import realize
    from ..mllm import BudgetExceeded

    made = realize(plan)
    for n in range(1, len(made.keys)):
        if made.keys[n].layer or made.keys[n].gait is not None:
            continue
        if progress:
            progress(f"posing key {n} of {len(made.keys) - 1}")
        try:
            _one_key(made, n, provider, seed)
            if critic:
                _second_look(made, n, provider, seed)
        except BudgetExceeded as error:
            made.notes.append(
                f"{error}; keys from {made.keys[n].id} on are as the solver left them"
            )
            break
    return made


def _solver(plan: KeyframePlan) -> Pose:
    """Solve the last key of a plan from the pose, goals and contacts that it has."""
    from ..filling import _expanded

    knots, _ = _expanded(plan)
    name = plan.keys[-1].id
    return next(Pose.from_qpos(k.qpos) for k in reversed(knots) if k.key == name)


def _one_key(
    plan: KeyframePlan, index: int, provider: Any, seed: int, only: dict[str, str] | None = None
) -> None:
    desk = Desk(plan, index, _solver)
    if only is None and not desk.key.dofs and not desk.key.goals:
        # nothing told yet: the work starts from the pose before, as in the paper
        desk.key.pose = plan.keys[index - 1].pose
        desk.settle()
    wanted = only if only is not None else desk.key.parts
    spent = 0
    for part in sorted(wanted, key=ORDER.index):
        used, finished = _one_part(desk, part, wanted[part], provider, seed, MAX_COMMANDS - spent)
        spent += used
        if finished or spent >= MAX_COMMANDS:
            break


def _one_part(
    desk: Desk, part: str, sentence: str, provider: Any, seed: int, left: int
) -> tuple[int, bool]:
    """Adjust one part. Returns commands used, and whether the model called the key finished."""
    from ..mllm import BadAnswer
    from ..mllm.asking import ask

    plan, before = desk.plan, desk.plan.keys[desk.index - 1]
    results: list[str] = []
    used, quiet, last = 0, 0, ""
    for turn in range(MAX_ADJUST):
        seen = picture(desk.pose(), plan, provider, before.pose, desk.view)
        request = prompts.animate_part(
            part,
            sentence,
            desk.key.description,
            before.description,
            desk.pose(),
            COMMANDS,
            results,
            min(MAX_ADJUST - turn, left - used),
            seen,
        )
        try:
            answer = ask(provider, request, AnimatorTurn, clean=_clean_turn, seed=seed)
        except BadAnswer as error:
            plan.notes.append(f"{desk.key.id}, {part}: {error}")
            return used, False
        start = desk.pose()
        results = []
        for command in answer.commands:
            if used >= left:
                break
            same = command.model_dump_json()
            if same == last:
                return used, False  # it goes in circles
            last = same
            found = desk.apply(command)
            used += command.name not in ("look", "done")
            results.append(("ok " if found.ok else "failed ") + found.text)
            if found.done_all:
                return used, True
        if answer.done or used >= left:
            return used, False
        moved = _difference(start, desk.pose())
        looked = any(c.name == "look" for c in answer.commands)
        quiet = quiet + 1 if moved < STILL and not looked else 0
        if quiet >= 2 or (not answer.commands and turn):
            return used, False
    return used, False


def _difference(a: Pose, b: Pose) -> float:
    """Root mean square turn of the joints between two poses, radians."""
    return float(np.sqrt(np.mean(rot.angle_between(a.joint_quat, b.joint_quat) ** 2)))


def _clean_turn(value: Any) -> Any:
    """Commands as models like to write them: a string, a dict of one, arguments beside the name."""
    if not isinstance(value, dict):
        return value
    rows = value.get("commands", value.get("command", []))
    rows = rows if isinstance(rows, list) else [rows]
    found = []
    for row in rows:
        if isinstance(row, str):
            found.append({"name": row, "args": {}})
        elif isinstance(row, dict):
            name = row.get("name") or row.get("command") or row.get("type")
            if name is None and len(row) == 1:
                name, args = next(iter(row.items()))
                found.append({"name": name, "args": args if isinstance(args, dict) else {}})
                continue
            args = row.get("args") or row.get("arguments") or row.get("parameters")
            if not isinstance(args, dict):
                args = {k: v for k, v in row.items() if k not in ("name", "command", "type")}
            found.append({"name": str(name), "args": args})
    return {
        "reasoning": str(value.get("reasoning", ""))[:3000], "done": bool(value.get("done", False)),
        "commands": found[:6],
    }  # fmt: skip


def _second_look(plan: KeyframePlan, index: int, provider: Any, seed: int) -> None:
    """The critic on one key; the parts it names get one more round."""
    verdicts = shown(plan, [index], provider, seed)
    verdict = verdicts.get(index)
    if verdict is None:
        return
    key: Keyframe = plan.keys[index]
    key.confidence = round(verdict.score / 10, 3)
    if (verdict.matches and verdict.score >= 6) or not verdict.problems:
        return
    wanted = {}
    for problem in verdict.problems:
        part = naming.part(problem.part)
        if part in ORDER:
            said = (
                f"{key.parts.get(part, key.description)} — a critic says: {problem.issue}"
                f" {problem.suggestion}"
            )
            wanted[part] = said[:400]
    if wanted:
        _one_key(plan, index, provider, seed, wanted)
        after = shown(plan, [index], provider, seed + 1).get(index)
        if after is not None:
            key.confidence = round(after.score / 10, 3)
