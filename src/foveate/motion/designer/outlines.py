"""From the answers of a designing model to a plan, and what is still missing in it.

The one thing to know: an answer is data; it is mended and checked, and never trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..body import BodyShape
from ..plan import Keyframe, KeyframePlan
from ..scene import Scene
from . import naming, prompts
from .answers import MAX_SECONDS, DesignedKey, PlanOutline

Progress = Callable[[str], None]


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
    return mended(plan)


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


def mended(plan: KeyframePlan) -> KeyframePlan:
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


def merit(plan: KeyframePlan) -> float:
    """Rank of a candidate: fewer findings, more of the instruction covered."""
    from ..check import lint

    try:
        weights = {"error": 3.0, "warn": 1.0, "info": 0.0}
        flaws = sum(weights.get(f.severity, 0.0) for f in lint(plan))
    except ValueError:
        flaws = 50.0
    return -flaws - 4.0 * len(uncovered(plan.text, plan))
