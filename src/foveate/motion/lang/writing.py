"""Writing a score down: steps become the keys of a plan, styles and things its style and scene.

The one thing to know: only what changed is written; a plan inherits the rest.
"""

from __future__ import annotations

import math
from typing import Any

from ..plan import StyleSpec
from ..scene import Scene
from .frames import Frame
from .score import STANCE, Step, part_of


def moved(where: tuple[float, float, float], step: Step) -> tuple[float, float, float]:
    """Where the body is after a step: (x, y, heading in degrees)."""
    x, y, heading = where
    ahead = left = turn = 0.0
    if step.gait is not None:
        from .acts.locomotion import STRIDE

        told = step.gait
        kind = told.get("kind", "walk")
        length = told.get("distance")
        if length is None:
            length = told.get("steps", 4) * told.get("length", STRIDE.get(kind, 0.4))
        turn = told.get("turn_deg", 0.0)
        way = told.get("direction_deg", 180.0 if kind == "back-step" else 0.0)
        if abs(turn) > 1 and length > 0.01:
            half = math.radians(turn / 2)
            length *= math.sin(half) / half
            way += turn / 2
        ahead, left = length * math.cos(math.radians(way)), length * math.sin(math.radians(way))
    elif "travel" in step.root:
        ahead, left = step.root["travel"]
        turn = step.root.get("spin_deg", 0.0) + step.root.get("yaw_deg", 0.0)
    else:
        for contact in step.contacts or []:
            if isinstance(contact, dict) and "step" in contact:
                ahead += contact["step"][0] / 2
                left += contact["step"][1] / 2
        turn = step.root.get("spin_deg", 0.0)
    yaw = math.radians(heading)
    x += ahead * math.cos(yaw) - left * math.sin(yaw)
    y += ahead * math.sin(yaw) + left * math.cos(yaw)
    return round(x, 4), round(y, 4), heading + turn


def keys_of(rows: list[tuple[float, Step, bool]]) -> list[dict[str, Any]]:
    """Rows as the plan's JSON; only what changed is written."""
    found: list[dict[str, Any]] = []
    state = dict(STANCE)
    t_last = -1.0
    for n, (t, st, layer) in enumerate(rows):
        t = max(round(t, 3), round(t_last + 0.01, 3) if n else 0.0)
        t_last = t
        changed = {k: v for k, v in st.dofs.items() if layer or abs(state.get(k, 0.0) - v) > 0.05}
        for name in list(changed):  # a shoulder's three words only mean something together
            joint, _, dof = name.partition(".")
            if joint.endswith("_shoulder") and dof in ("elevation", "plane", "axial"):
                for d in ("elevation", "plane", "axial"):
                    full = f"{joint}.{d}"
                    changed[full] = st.dofs.get(full, state.get(full, 0.0))
        key: dict[str, Any] = {"id": f"k{n}", "t": t, "description": st.text, "dofs": changed}
        if st.hold and not layer:
            key["hold"] = round(st.hold, 3)
        if st.ease != "smooth":
            key["ease"] = st.ease
        if layer:
            key["layer"] = True
        else:
            state |= st.dofs
            for name, value in (
                ("goals", st.goals),
                ("root", st.root),
                ("gait", st.gait),
                ("gaze", st.gaze),
            ):
                if value:
                    key[name] = value
            if st.contacts is not None:
                key["contacts"] = st.contacts
            if st.support is not None:
                key["support"] = st.support
        key["parts"] = dict.fromkeys(sorted({part_of(name) for name in changed}), st.text[:400])
        found.append(key)
    return found


def style_of(frames: list[Frame], notes: list[str]) -> StyleSpec | None:
    """The first style that the text names; the plan has one for the whole motion."""
    found: dict[str, float] = {}
    for frame in frames:
        for name, strength in frame.styles.items():
            found.setdefault(name, strength)
    if not found:
        return None
    name, *more = found
    if more:
        notes.append(f"a plan has one style; took {name}, left out {', '.join(more)}")
    elif len(frames) > 1 and sum(name in f.styles for f in frames) < len(frames):
        notes.append(f'the style "{name}" is laid over the whole motion')
    return StyleSpec(name=name, amount=found[name])


def scene_of(given: Scene | None, made: list[Any]) -> Scene | None:
    if not made:
        return given
    kept = list(given.objects) if given else []
    stones = any(item.name.startswith("stone") for item in made)
    name = given.name if given else "made for the text"
    floor = given.floor if given else not stones
    return Scene(name=name, objects=[*kept, *made], floor=floor)
