"""The critic: a model looks at the realised keys and says what does not fit.

The one thing to know: it first says what it sees without regard to the instruction, since a model
that has just read what should be there tends to see it. The linter, not the critic, is the gate for
what is physically possible.
"""

from __future__ import annotations

from typing import Any

from ..plan import KeyframePlan
from . import naming, prompts
from .answers import Critique, Verdict

GOOD = 6.0  # a key that scores less is worked on again


def critique(plan: KeyframePlan, provider: Any, seed: int = 0) -> tuple[KeyframePlan, list[str]]:
    """A copy of a realised plan with confidences, and the problems worth another round.

    A critic that cannot answer leaves the plan as it is, with a note.
    """
    from ..mllm import BadAnswer, BudgetExceeded

    made = plan.model_copy(deep=True)
    indices = [i for i, key in enumerate(plan.keys) if key.pose is not None]
    try:
        verdicts = _ask(plan, indices, provider, seed)
    except (BadAnswer, BudgetExceeded) as error:
        made.notes.append(f"not judged: {error}")
        return made, []
    problems = []
    for index, verdict in verdicts.items():
        made.keys[index].confidence = round(verdict.score / 10, 3)
        if verdict.score < GOOD or not verdict.matches:
            problems += [
                f"key {index}, {naming.part(p.part)}: {p.issue} {p.suggestion}".strip()
                for p in verdict.problems
            ]
    return made, problems


def shown(plan: KeyframePlan, indices: list[int], provider: Any, seed: int) -> dict[int, Verdict]:
    """Verdicts on some keys; empty when the critic has no usable answer."""
    from ..mllm import BadAnswer

    try:
        return _ask(plan, indices, provider, seed)
    except BadAnswer as error:
        plan.notes.append(f"not judged: {error}")
        return {}


def _ask(plan: KeyframePlan, indices: list[int], provider: Any, seed: int) -> dict[int, Verdict]:
    from ..mllm.asking import ask

    sheet = None
    if provider.capabilities.vision:
        from ..body import body_of
        from ..render import contact_sheet, png

        tiles = [(plan.keys[i].pose, f"key {i}, {plan.keys[i].t:.2f} s") for i in indices]
        sheet = png(contact_sheet(tiles, body=body_of(plan.body), scene=plan.scene, title=""))
    told = [f"{plan.keys[i].description} {plan.keys[i].parts or ''}" for i in indices]
    answer = ask(
        provider, prompts.critique(plan.text, told, sheet), Critique, clean=_clean, seed=seed
    )
    found = {}
    for verdict in answer.keys:
        if verdict.index < len(indices):
            found[indices[verdict.index]] = verdict
    return found


def _clean(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    rows = value.get("keys", value.get("scores", []))
    clean = []
    for n, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, (int, float)):
            row = {"score": row}
        if not isinstance(row, dict):
            continue
        row = {"index": n, **row}
        row["problems"] = [
            {"part": "torso", "issue": p} if isinstance(p, str) else p
            for p in row.get("problems") or []
        ]
        for problem in row["problems"]:
            if isinstance(problem, dict):
                problem["issue"] = str(problem.get("issue", ""))[:300]
                problem["suggestion"] = str(
                    problem.get("suggestion", problem.get("suggested command", ""))
                )[:300]
        clean.append(row)
    return {"shown": str(value.get("shown", ""))[:600], "keys": clean}
