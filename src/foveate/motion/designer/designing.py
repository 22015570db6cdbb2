"""The designer: key poses in words, contacts and times.

The one thing to know: "outline" asks once for the whole plan, "sequential" (the paper's way) asks
key by key and shows the model each realised pose. Whatever a model says is checked and mended; if
it
stays unusable, the offline designer takes over and the plan's `source` and `notes` say so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..body import BodyShape
from ..plan import Keyframe, KeyframePlan, StyleSpec
from ..scene import Scene
from . import naming, prompts
from .answers import MAX_KEYS, MAX_SECONDS, DesignedKey, NextKeyframe, PlanOutline, SimplePlan

if TYPE_CHECKING:
    from ..mllm import Budget, Provider

Progress = Callable[[str], None]


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
            plan = _sequential(text, scene, metered, shape, seed, max_keys, progress)
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
        found.append((-_merit(plan), n, plan))
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
            provider, messages, PlanOutline, clean=naming.clean_answer, seed=seed, temperature=heat
        )
    except BadAnswer:
        simple = ask(provider, messages, SimplePlan, clean=naming.clean_answer, tries=1, seed=seed)
        keys = [DesignedKey(dt=k.dt, description=k.description, dofs=k.dofs) for k in simple.keys]
        answer = PlanOutline(reasoning="", keys=keys)
    plan = outlined(text, scene, body, seed, provider.name, answer)
    missing = uncovered(text, plan)
    if missing:
        again = [*messages, Message.of("assistant", answer.model_dump_json()),
                 Message.of("user", prompts.REVISE.format(missing=", ".join(missing)))]  # fmt: skip
        try:
            second = ask(
                provider, again, PlanOutline, clean=naming.clean_answer, tries=1, seed=seed
            )
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


def outlined(
    text: str, scene: Scene | None, body: BodyShape, seed: int, name: str, answer: PlanOutline
) -> KeyframePlan:
    """The outline as a plan, bounds enforced."""
    from ..mllm import BadAnswer

    notes: list[str] = []
    keys = [Keyframe(id="k0", t=0.0, description=prompts.START)]
    now = 0.0
    objects = {o.name for o in scene.objects} if scene else set()
    for n, designed in enumerate(answer.keys):
        now += designed.dt
        if now > MAX_SECONDS:
            notes.append(
                f"the model's plan was longer than {MAX_SECONDS:g} s; the rest was left out"
            )
            break
        keys.append(keyframe(designed, f"k{n + 1}", now, objects, notes))
        now += designed.hold
    if len(keys) < 2:
        raise BadAnswer(f"{name}'s plan has no key within {MAX_SECONDS:g} s", ["keys: none usable"])
    data: dict[str, Any] = {
        "text": text.strip(), "source": f"mllm:{name}", "seed": seed, "body": body, "scene": scene,
        "keys": keys, "notes": notes,
    }  # fmt: skip
    cycle = answer.cycle
    if cycle is not None and cycle.first < cycle.last < len(keys) - 1 and cycle.count > 1:
        data["loop"] = {
            "start_key": keys[cycle.first + 1].id, "end_key": keys[cycle.last + 1].id,
            "count": cycle.count,
        }  # fmt: skip
    elif cycle is not None and cycle.count > 1:
        notes.append("the model's cycle does not fit its keys; played once")
    plan = KeyframePlan.model_validate(data)
    return _mended(plan)


def keyframe(
    designed: DesignedKey, name: str, t: float, objects: set[str], notes: list[str]
) -> Keyframe:
    """A designed key as a key of a plan; contacts with things that are not there become the
    floor."""
    contacts = None
    if designed.contacts is not None:
        contacts = []
        for touch in designed.contacts:
            on = touch.on if touch.on in objects or touch.on == "floor" else "floor"
            if on != touch.on:
                notes.append(
                    f"{name}: nothing is called {touch.on!r}; {touch.part} goes to the floor"
                )
            contacts.append({"part": naming.contact(touch.part), "surface": on})
    root: dict[str, Any] = {}
    if designed.travel_forward or designed.travel_left:
        root["travel"] = (designed.travel_forward, designed.travel_left)
    if designed.turn_deg:
        root["yaw_deg"] = designed.turn_deg
    if designed.jump_height >= 0.03:
        root |= {"height_mode": "ballistic", "height": designed.jump_height}
    support = {"left": ["L_foot"], "right": ["R_foot"]}.get(designed.weight, "auto")
    ease = "smooth" if designed.ease == "ballistic" and not root.get("height") else designed.ease
    return Keyframe.model_validate(
        {
            "id": name,
            "t": round(t, 3),
            "hold": designed.hold,
            "ease": ease,
            "description": designed.description,
            "parts": designed.parts,
            "dofs": designed.dofs,
            "contacts": contacts,
            "support": support,
            "root": root,
        }
    )


def _mended(plan: KeyframePlan) -> KeyframePlan:
    """The plan after the linter's repairs of what needs no poses."""
    from ..check import lint, repair

    try:
        findings = [f for f in lint(plan) if f.severity != "info"]
        return repair(plan, findings) if findings else plan
    except ValueError as error:  # the plan cannot be posed at all; the animator will say why
        plan.notes.append(f"not linted: {error}")
        return plan


def uncovered(text: str, plan: KeyframePlan) -> list[str]:
    """What the instruction names and no key speaks of: sides and counts (S-COVER).

    The offline grammar is the oracle: it knows which side and how often, whoever wrote the plan.
    """
    from ..lang import NotUnderstood, understand

    try:
        reading = understand(text)
    except (NotUnderstood, ValueError):
        return []
    said = " ".join(
        [k.description + " " + " ".join(f"{p} {s}" for p, s in k.parts.items()) for k in plan.keys]
    ).lower()
    moved = {name[:2] for key in plan.keys for name in key.dofs}
    missing = []
    for frame in reading.frames:
        for limb in frame.limbs:
            word = {"L": "left", "R": "right"}.get(limb.side)
            if word and word not in said and f"{limb.side}_" not in moved and "B_" not in moved:
                missing.append(f"the {word} {limb.part}")
    cycles = plan.loop.count if plan.loop else 1
    for frame in reading.frames:
        if (
            (frame.times or 1) > 1
            and cycles < (frame.times or 1)
            and len(plan.keys) < 2 * (frame.times or 1)
        ):
            missing.append(f"{frame.verb} {frame.times} times")
    return list(dict.fromkeys(missing))


def _merit(plan: KeyframePlan) -> float:
    """Rank of a candidate: fewer findings, more of the instruction covered."""
    from ..check import lint

    try:
        weights = {"error": 3.0, "warn": 1.0, "info": 0.0}
        flaws = sum(weights.get(f.severity, 0.0) for f in lint(plan))
    except ValueError:
        flaws = 50.0
    return -flaws - 4.0 * len(uncovered(plan.text, plan))


# ---- sequential


def _sequential(
    text: str, scene: Scene | None, provider: Any, body: BodyShape, seed: int, max_keys: int,
    progress: Progress | None,
) -> KeyframePlan:  # fmt: skip
    """Key by key; each is realised before the next is asked for, so the model sees where it is."""
    from ..filling import realize
    from ..mllm import BadAnswer, BudgetExceeded
    from ..mllm.asking import ask
    from .animator import picture

    if not 1 <= max_keys <= MAX_KEYS:
        raise ValueError(f"max_keys is {max_keys}; expected 1 to {MAX_KEYS}")
    objects = {o.name for o in scene.objects} if scene else set()
    plan = realize(
        KeyframePlan(
            text=text.strip(), source=f"mllm:{provider.name}", seed=seed, body=body, scene=scene,
            keys=[Keyframe(id="k0", t=0.0, description=prompts.START)],
        )
    )  # fmt: skip
    planted: list[str] = ["L_foot", "R_foot"]
    for n in range(max_keys):
        if progress:
            progress(f"designing key {n + 1}")
        last = plan.keys[-1]
        t = last.t + last.hold
        seen = picture(last.pose, plan, provider) if provider.capabilities.vision else None
        request = prompts.next_key(
            text, scene, body, last.description, last.pose, seen, t, planted,
            [k.description for k in plan.keys[1:]], max_keys - n,
        )  # fmt: skip
        try:
            answer = ask(provider, request, NextKeyframe, clean=naming.clean_answer, seed=seed)
        except BudgetExceeded as error:
            plan.notes.append(f"{error}; the plan ends here")
            break
        except BadAnswer as error:
            if n == 0:
                raise
            plan.notes.append(f"{error}; the plan ends here")
            break
        if answer.done or answer.key is None:
            break
        if t + answer.key.dt > MAX_SECONDS:
            plan.notes.append(f"the plan ends at {MAX_SECONDS:g} s")
            break
        key = keyframe(answer.key, f"k{n + 1}", t + answer.key.dt, objects, plan.notes)
        trial = plan.model_copy(update={"keys": [*plan.keys, key]})
        try:
            plan = realize(trial)
        except ValueError as error:
            plan.notes.append(f"key {n + 1} cannot be posed ({error}); left out")
            continue
        if key.contacts is not None:
            planted = [c.part for c in key.contacts]
    if len(plan.keys) < 2:
        raise BadAnswer(f"{provider.name} designed no key at all", ["keys: none"])
    for key in plan.keys:  # the animator realises them properly
        key.pose = None
    return plan
