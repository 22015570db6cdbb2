"""An answer of a model before it is checked: fields renamed, numbers freed of units.

The one thing to know: nothing is invented here; what stays unknown is told to the model.
"""

from __future__ import annotations

from typing import Any

from ..mllm.asking import number
from ..plan import PARTS
from .naming import dofs, ease, part, planted


def clean_key(value: Any) -> Any:
    """One designed key with names and units mended, before it is checked."""
    if not isinstance(value, dict):
        return value
    found = dict(value)
    if "dt" not in found:
        for other in ("interval", "duration", "time", "seconds", "dt_s"):
            if other in found:
                found["dt"] = found.pop(other)
                break
    for name in ("dt", "hold", "travel_forward", "travel_left", "turn_deg", "jump_height"):
        if name in found:
            found[name] = 0.0 if found[name] is None and name != "dt" else number(found[name])
    for name, low, high in (("dt", 0.08, 3.0), ("hold", 0.0, 10.0)):
        # a little outside is a slip; far outside is a misunderstanding and is asked about
        if isinstance(found.get(name), (int, float)) and low / 2 <= found[name] <= 1.5 * high:
            found[name] = min(max(float(found[name]), low), high)
    if "parts" in found:
        if isinstance(found["parts"], list):  # [{"part": …, "description": …}]
            rows = [p for p in found["parts"] if isinstance(p, dict)]
            found["parts"] = {
                str(p.get("part", "")): p.get("description", p.get("text", "")) for p in rows
            }
        if isinstance(found["parts"], dict):
            named = {part(str(n)): str(t)[:400] for n, t in found["parts"].items() if t}
            found["parts"] = {n: t for n, t in named.items() if n in PARTS}
    if isinstance(found.get("contacts"), list):
        found["contacts"] = [_touch(c) for c in found["contacts"]]
    if "ease" in found:
        found["ease"] = ease(found["ease"])
    if isinstance(found.get("description"), str):
        found["description"] = found["description"][:400]
    if found.get("dofs"):
        found["dofs"] = dofs(found["dofs"])[0]
    elif "dofs" in found:
        found["dofs"] = {}
    return found


def _touch(value: Any) -> Any:
    if isinstance(value, str):
        name, _, on = value.partition(":")
        value = {"part": name, "on": on or "floor"}
    if isinstance(value, dict) and "part" in value:
        on = value.get("on") or value.get("surface") or "floor"
        return {"part": planted(str(value["part"])), "on": "floor" if on == "ground" else str(on)}
    return value


def clean_answer(value: Any) -> Any:
    """A designer's answer (one key or many) with every key mended."""
    if not isinstance(value, dict):
        return value
    found = dict(value)
    for inner in ("plan", "outline", "answer", "result", "keyframe_plan"):
        if isinstance(found.get(inner), dict) and "keys" not in found and "key" not in found:
            found = dict(found[inner])
    if "keyframes" in found and "keys" not in found:
        found["keys"] = found.pop("keyframes")
    if isinstance(found.get("keys"), list):
        found["keys"] = [clean_key(k) for k in found["keys"]]
        # the first key is the start, which the plan has already
        if (
            found["keys"]
            and isinstance(found["keys"][0], dict)
            and found["keys"][0].get("dt") in (0, 0.0)
        ):
            if len(found["keys"]) > 1 and not found["keys"][0].get("dofs"):
                found["keys"] = found["keys"][1:]
                if isinstance(found.get("cycle"), dict):
                    found["cycle"] = {
                        n: max(0, v - 1) if n in ("first", "last") and isinstance(v, int) else v
                        for n, v in found["cycle"].items()
                    }
            else:
                found["keys"][0]["dt"] = 0.5
    if isinstance(found.get("key"), dict):
        found["key"] = clean_key(found["key"])
    for name in ("reasoning", "title"):
        if isinstance(found.get(name), str):
            found[name] = found[name][:4000]
    if found.get("cycle") in ({}, "", [], "none"):
        found["cycle"] = None
    return found
