"""Editing: an existing plan changed by a sentence.

The one thing to know: without a provider a small grammar is tried, in this order: longer pauses,
faster and slower, once more or n times, the other side, a style, bigger and smaller ("higher",
"deeper"), remove, an action told anew ("wave five times"), and at last adding one before or after.
What it cannot do it says; nothing is changed silently.

    plan = edit(plan, "raise the arm higher")
    plan = edit(plan, "with the left hand")
    plan = edit(plan, "then bow")
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .clip import MotionClip
from .edits import PLAYED_AGAIN, RULES
from .edits_common import done, normal
from .edits_text import changed_text
from .plan import Keyframe, KeyframePlan

if TYPE_CHECKING:
    from .mllm import Provider


def edit(
    clip_or_plan: KeyframePlan | MotionClip,
    text: str,
    provider: Provider | str | None = None,
    *,
    seed: int = 0,
) -> KeyframePlan:
    """A changed copy of a plan.

    Args:
        clip_or_plan: A plan, or a clip whose `text` can be designed again.
        text: What should be different.
        provider: A model; None is the built-in grammar.
        seed: Passed to providers that take one.

    Returns:
        The new plan, without poses where they no longer hold; its last note says what was done.

    Raises:
        ValueError: The text is empty or asks for what the grammar does not know; the message lists
            what it does.
        TypeError: It is neither a plan nor a clip.
    """
    if not text or not text.strip():
        raise ValueError(
            'text is empty; expected a change such as "slower" or "with the left hand"'
        )
    plan = _plan_of(clip_or_plan)
    if provider is not None and provider != "offline":
        return _by_model(plan, text, provider, seed)
    words = normal(text)
    for rule in RULES:
        found = rule(plan, words)
        if found is not None:
            if rule in PLAYED_AGAIN:
                found.notes[-1] += f' ("{text.strip()}")'
            return found
    return _with_earlier(plan, _by_words(plan, text) or _by_adding(plan, text))


def _with_earlier(plan: KeyframePlan, made: KeyframePlan) -> KeyframePlan:
    """A plan that was designed anew, with the tempo, size and style it had been given before."""
    if made.source != "offline" or not plan.text:
        return made
    last = made.notes.pop()
    for note in plan.notes:
        told = re.fullmatch(r'edited: .* \("(.*)"\)', note)
        for rule in PLAYED_AGAIN if told else ():
            found = rule(made, normal(told[1]))
            if found is not None:
                made = found
                made.notes[-1] = note
                break
    made.notes.append(last)
    return made


def _by_words(plan: KeyframePlan, text: str) -> KeyframePlan | None:
    """An action of the text replaced or moved."""
    from .lang import design_offline

    new = changed_text(plan, text)
    if new is None:
        return None
    made = design_offline(new, plan.scene, style=plan.style, seed=plan.seed)
    made.body = plan.body
    return done(made, f"now {new!r}")


def _plan_of(thing: Any) -> KeyframePlan:
    if isinstance(thing, KeyframePlan):
        return thing.model_copy(deep=True)
    if isinstance(thing, MotionClip):
        if not thing.text:
            raise ValueError("the clip has no text to design a plan from; edit its plan instead")
        from .lang import design_offline

        plan = design_offline(thing.text, thing.scene)
        plan.body = thing.shape
        plan.notes.append("the clip's text was designed anew before the change")
        return plan
    raise TypeError(f"edit takes a KeyframePlan or a MotionClip, not {type(thing).__name__}")


# ---- adding, and models


def _by_adding(plan: KeyframePlan, text: str) -> KeyframePlan:
    """An action before or after what is there."""
    from .lang import NotUnderstood, design_offline

    plain = text.strip().lower()
    first = bool(
        re.match(
            r"(first|before that|start by|begin by|begin with)\b|.*at the (beginning|start)$", plain
        )
    )
    body = re.sub(
        r"^(first|before that|start by|begin by|begin with|and|then|add|also|after that|"
        r"finally|afterwards|at the end|let (him|her|them))[ ,:]*",
        "",
        plain,
    )
    body = re.sub(r"^(and|then)[ ,]*", "", body)
    body = re.sub(r"[ ,]*(at|to|in) the (end|beginning|start)$", "", body)
    joined = f"{body}, then {plan.text}" if first else f"{plan.text}, then {body}"
    try:
        design_offline(body, plan.scene)
        if plan.source == "offline" and plan.text:
            made = design_offline(joined, plan.scene, style=plan.style, seed=plan.seed)
        else:
            made = _appended(plan, design_offline(body, plan.scene), first)
    except NotUnderstood as error:
        raise ValueError(
            f"cannot make the change {text.strip()!r}: {error}; changes are faster, slower, higher,"
            " smaller, with the other hand, three times, hold longer, a style, remove …, first …,"
            " then …"
        ) from None
    made.body = plan.body
    return done(made, f"{'first' if first else 'then'} {body}")


def _appended(plan: KeyframePlan, more: KeyframePlan, first: bool) -> KeyframePlan:
    a, b = (more, plan) if first else (plan, more)
    shift = a.duration + 0.3
    keys = [k.model_copy(deep=True) for k in a.keys]
    for key in b.keys[1:]:
        keys.append(key.model_copy(deep=True, update={"id": f"{key.id}b", "t": key.t + shift}))
    bridge = Keyframe(
        id="bridge", t=round(a.duration + 0.28, 4), base="neutral", description="stands"
    )
    keys.insert(len(a.keys), bridge)
    text = f"{a.text}, then {b.text}"
    update: dict[str, Any] = {
        "keys": keys,
        "text": text,
        "loop": None,
        "scene": plan.scene or more.scene,
    }
    return plan.model_copy(update=update)


def _by_model(plan: KeyframePlan, text: str, provider: Any, seed: int) -> KeyframePlan:
    """A model writes the plan anew with the change in it."""
    from .designer import prompts
    from .designer.answers import PlanOutline
    from .designer.cleaning import clean_answer
    from .designer.outlines import outlined
    from .mllm import Message, Metered, connect
    from .mllm.asking import ask

    asked = connect(provider) if isinstance(provider, str) else provider
    metered = Metered(asked)
    before, rows = 0.0, []
    for key in plan.keys[1:]:
        row = {"dt": round(key.t - before, 3), "hold": key.hold, "description": key.description,
               "parts": key.parts, "dofs": key.dofs}  # fmt: skip
        rows.append({n: v for n, v in row.items() if v})
        before = key.t + key.hold
    import json

    messages = prompts.outline(
        plan.text, plan.scene, plan.body, plan.style.name if plan.style else ""
    )
    messages.append(Message.of("assistant", json.dumps({"reasoning": "", "keys": rows})))
    messages.append(Message.of("user", prompts.CHANGE.format(change=text.strip())))
    answer = ask(metered, messages, PlanOutline, clean=clean_answer, seed=seed)
    made = outlined(
        f"{plan.text}; {text.strip()}", plan.scene, plan.body, seed, metered.name, answer
    )
    made.style = plan.style
    return done(made, text.strip())
