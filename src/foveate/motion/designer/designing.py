"""The designer: key poses in words, contacts and times.

The one thing to know: "outline" asks once for the whole plan, "sequential" (the paper's way) asks
key by key and shows the model each realised pose. Whatever a model says is checked and mended; if
it stays unusable, the offline designer takes over and the plan's `source` and `notes` say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..body import BodyShape
from ..plan import KeyframePlan, StyleSpec
from ..scene import Scene
from . import prompts
from .answers import DesignedKey, PlanOutline, SimplePlan
from .cleaning import clean_answer
from .outlines import Progress, merit, outlined, uncovered
from .stepwise import stepwise

if TYPE_CHECKING:
    from ..mllm import Budget, Provider


def design(
    text: str,
    scene: Scene | str | None = None,
    provider: Provider | str | None = None,
    *,
    mode: str = "outline",
    seed: int = 0,
    style: StyleSpec | None = None,
    body: BodyShape | None = None,
    candidates: int = 1,
    budget: Budget | None = None,
    max_keys: int = 12,
    best_effort: bool = False,
    progress: Progress | None = None,
) -> KeyframePlan:
    """A plan for an instruction.

    Args:
        text: What should be done.
        scene: Where; a scene, a name or a path. None is an empty floor (the offline designer puts
        up
            what the text needs).
        provider: A model, as a provider or as `connect` takes it; None is the offline designer.
        mode: "outline" or "sequential".
        seed: Passed to providers that take one; recorded in the plan.
        style: Laid over everything.
        body: Proportions.
        candidates: Outlines to ask for; the best by the linter and by what the words say is kept.
        budget: Limits; spent budgets end the asking, with the best plan so far.
        max_keys: Of the sequential mode.
        best_effort: Offline: stand idle instead of raising `NotUnderstood`.
        progress: Called with what is being done.

    Returns:
        A plan without poses; `animate` gives them.

    Raises:
        ValueError: The text is empty, or mode or candidates are wrong.
        NotUnderstood: Offline: no action was found.
        Unreachable, Refused, BadAnswer: The model; the last only when the offline designer cannot
            read the text either.
    """
    from ..mllm import BadAnswer, Metered, connect

    if not text or not text.strip():
        raise ValueError('text is empty; expected a sentence such as "a person waves"')
    if mode not in ("outline", "sequential"):
        raise ValueError(f'mode is {mode!r}; expected "outline" or "sequential"')
    if not 1 <= candidates <= 8:
        raise ValueError(f"candidates is {candidates}; expected 1 to 8")
    scene = Scene.named(scene) if isinstance(scene, str) else scene
    if provider is None or provider == "offline":
        return _offline(text, scene, style, body, seed, best_effort)
    asked = connect(provider) if isinstance(provider, str) else provider
    metered = asked if isinstance(asked, Metered) else Metered(asked, budget)
    shape = body or BodyShape()
    try:
        if mode == "sequential":
            plan = stepwise(text, scene, metered, shape, seed, max_keys, progress)
        else:
            plan = _best_outline(text, scene, metered, shape, seed, candidates, style, progress)
    except BadAnswer as error:
        from ..lang import NotUnderstood

        try:
            plan = _offline(text, scene, style, body, seed, best_effort)
        except NotUnderstood as unread:
            raise BadAnswer(
                f"{error}; the offline designer does not understand it either: {unread}",
                error.problems,
            ) from None
        plan.source = "offline"
        plan.notes.append(f"{error}; the offline designer made this plan")
        return plan
    if style is not None:
        plan.style = style
    return plan


def _offline(
    text: str, scene: Scene | None, style: StyleSpec | None, body: BodyShape | None, seed: int,
    best_effort: bool,
) -> KeyframePlan:  # fmt: skip
    from ..lang import design_offline

    plan = design_offline(text, scene, style=style, seed=seed, best_effort=best_effort)
    if body is not None:
        plan.body = body
    return plan


# ---- outline


def _best_outline(
    text: str, scene: Scene | None, provider: Any, body: BodyShape, seed: int, candidates: int,
    style: StyleSpec | None, progress: Progress | None,
) -> KeyframePlan:  # fmt: skip
    from ..mllm import BadAnswer, BudgetExceeded

    found: list[tuple[float, int, KeyframePlan]] = []
    failed: Exception | None = None
    for n in range(candidates):
        if progress:
            progress(f"designing{f', candidate {n + 1} of {candidates}' if candidates > 1 else ''}")
        try:
            plan = _outline(text, scene, provider, body, seed + n, n, style)
        except (BadAnswer, BudgetExceeded) as error:
            failed = error
            if isinstance(error, BudgetExceeded) and not found:
                raise
            continue
        found.append((-merit(plan), n, plan))
    if not found:
        assert failed is not None
        raise failed
    return min(found, key=lambda f: f[:2])[2]


def _outline(
    text: str, scene: Scene | None, provider: Any, body: BodyShape, seed: int, turn: int,
    style: StyleSpec | None,
) -> KeyframePlan:  # fmt: skip
    from ..mllm import BadAnswer, BudgetExceeded, Message
    from ..mllm.asking import ask

    told = style.name if style else ""
    messages = prompts.outline(text, scene, body, told, turn)
    heat = 0.4 + 0.2 * turn
    try:
        answer = ask(
            provider, messages, PlanOutline, clean=clean_answer, seed=seed, temperature=heat
        )
    except BadAnswer:
        simple = ask(provider, messages, SimplePlan, clean=clean_answer, tries=1, seed=seed)
        keys = [DesignedKey(dt=k.dt, description=k.description, dofs=k.dofs) for k in simple.keys]
        answer = PlanOutline(reasoning="", keys=keys)
    plan = outlined(text, scene, body, seed, provider.name, answer)
    missing = uncovered(text, plan)
    if missing:
        again = [*messages, Message.of("assistant", answer.model_dump_json()),
                 Message.of("user", prompts.REVISE.format(missing=", ".join(missing)))]  # fmt: skip
        try:
            second = ask(provider, again, PlanOutline, clean=clean_answer, tries=1, seed=seed)
        except (BadAnswer, BudgetExceeded):
            plan.notes.append("the instruction may not be covered: " + ", ".join(missing))
        else:
            revised = outlined(text, scene, body, seed, provider.name, second)
            left = uncovered(text, revised)
            if len(left) <= len(missing):
                plan = revised
            if left:
                plan.notes.append("the instruction may not be covered: " + ", ".join(left))
    return plan


# ---- sequential
