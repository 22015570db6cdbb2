"""Sequential design, as in the paper: key by key, each realised and shown before the next.

The one thing to know: the model sees the last pose and its joints, and says when it is done.
"""

from __future__ import annotations

from typing import Any

from ..body import BodyShape
from ..plan import Keyframe, KeyframePlan
from ..scene import Scene
from . import prompts
from .answers import MAX_KEYS, MAX_SECONDS, NextKeyframe
from .cleaning import clean_answer
from .outlines import Progress, keyframe


def stepwise(
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
            answer = ask(provider, request, NextKeyframe, clean=clean_answer, seed=seed)
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
