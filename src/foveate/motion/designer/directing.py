"""Direct mode of the animator: angles and goals for every key in one answer, and one look at it.

The one thing to know: what the model leaves out or spoils stays as the solver made it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plan import KeyframePlan, PoseGoal
from . import naming, prompts
from .answers import DirectPoses
from .critic import critique


def direct_poses(
    plan: KeyframePlan,
    provider: Any,
    critic: bool,
    seed: int,
    progress: Callable[[str], None] | None,
) -> KeyframePlan:
    """One answer for all keys, one look, one correction."""
    from ..filling import realize
    from ..mllm import BadAnswer, BudgetExceeded

    if progress:
        progress("posing")
    try:
        posed = _ask_direct(plan, provider, [], seed)
    except (BadAnswer, BudgetExceeded) as error:
        plan.notes.append(f"{error}; poses come from the plan's own angles")
        posed = plan
    found = _posed(posed, plan, realize)
    if not critic:
        return found
    if progress:
        progress("looking at the result")
    first, problems = critique(found, provider, seed)
    if not problems:
        return first
    try:
        again = _posed(_ask_direct(first, provider, problems, seed + 1), first, realize)
    except (BadAnswer, BudgetExceeded) as error:
        first.notes.append(f"not corrected: {error}")
        return first
    second, _ = critique(again, provider, seed + 1)
    return max((first, second), key=lambda p: sum(k.confidence for k in p.keys))


def _posed(wanted: KeyframePlan, fallback: KeyframePlan, realize: Any) -> KeyframePlan:
    """The realised plan; if the model's wishes cannot be posed, without them."""
    try:
        return realize(wanted)
    except ValueError as error:
        plain = fallback.model_copy(deep=True)
        for key in plain.keys:
            key.pose = None
        plain.notes.append(f"the model's poses cannot be solved ({error}); left out")
        return realize(plain)


def _ask_direct(plan: KeyframePlan, provider: Any, problems: list[str], seed: int) -> KeyframePlan:
    from ..mllm.asking import ask

    told = [
        {
            "description": k.description,
            "parts": k.parts,
            "dofs": {n: round(v) for n, v in k.dofs.items()},
        }
        for k in plan.keys
    ]
    answer = ask(provider, prompts.direct(plan.text, plan.scene, told, problems), DirectPoses,
                 clean=_clean_direct, seed=seed)  # fmt: skip
    made = plan.model_copy(deep=True)
    objects = [o.name for o in plan.scene.objects] if plan.scene else []
    for posed in answer.keys:
        if posed.index >= len(made.keys):
            made.notes.append(f"the model posed a key {posed.index} that does not exist")
            continue
        key = made.keys[posed.index]
        key.pose = None
        key.dofs = {**key.dofs, **posed.dofs}
        for reach in posed.reach:
            try:
                goal = PoseGoal(
                    kind="reach", effector=naming.effector(reach.effector),
                    target=naming.site(reach.target, objects),
                    offset=(reach.forward, reach.left, reach.up),
                )  # fmt: skip
            except ValueError as error:
                made.notes.append(f"{key.id}: {' '.join(str(error).split())[:160]}")
                continue
            key.goals = [g for g in key.goals if g.effector != goal.effector] + [goal]
    for key in made.keys:
        key.pose = None
    return made


def _clean_direct(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    rows = value.get("keys", value.get("keyframes", []))
    if isinstance(rows, dict):  # {"0": {…}, "1": {…}}
        rows = [
            {"index": int(k), **v}
            for k, v in rows.items()
            if str(k).isdigit() and isinstance(v, dict)
        ]
    clean = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        row = dict(row)
        row["dofs"] = naming.dofs(row.get("dofs") or {})[0]
        reach = row.get("reach") or []
        row["reach"] = [reach] if isinstance(reach, dict) else reach
        clean.append(row)
    return {"reasoning": str(value.get("reasoning", ""))[:6000], "keys": clean}
