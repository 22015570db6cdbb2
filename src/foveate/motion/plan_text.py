"""Reading the keys of a plan as people and models write them.

The one thing to know: `dt` becomes `t`, missing ids are given, repetitions are written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def write_out(keys: list[Any]) -> list[Any]:
    """Keys with `dt` turned into `t`, missing ids given, and `repeat_with`/`times` written out.

    `{"id": "k2", "repeat_with": "k1", "times": 3}` becomes k2 k1 k2 k1 k2 k1 with the interval
    between k1 and k2; all later keys that have `t` keep it, unless the repetition runs past them.
    """
    found: list[dict[str, Any]] = []
    end = 0.0
    for index, raw in enumerate(keys):
        if not isinstance(raw, Mapping):
            raise ValueError(f"keys.{index} is {type(raw).__name__}; expected an object")
        key = dict(raw)
        repeat, times = key.pop("repeat_with", None), key.pop("times", None)
        dt = key.pop("dt", None)
        key.setdefault("id", f"k{index}")
        for name, value in (("t", key.get("t")), ("dt", dt)):
            if value is not None and not _number(value):
                raise ValueError(f"keys.{index}.{name} is {value!r}; expected seconds")
        if "t" not in key:
            last_hold = found[-1].get("hold", 0.0) if found else 0.0
            key["t"] = end + last_hold + (dt if dt is not None else (0.5 if found else 0.0))
        if found and key["t"] <= end and repeat is None and _ran_over(found):
            key["t"] = end + 0.3
        found.append(key)
        if repeat is not None:
            found += _repetitions(found, index, repeat, times)
        end = found[-1]["t"]
    return found


def _repetitions(found: list[dict[str, Any]], index: int, repeat: Any, times: Any) -> list[dict]:
    key = found[-1]
    other = next((k for k in found[:-1] if k["id"] == repeat), None)
    if other is None:
        raise ValueError(f"keys.{index}.repeat_with is {repeat!r}; expected the id of a key before")
    count = 1 if times is None else times
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 60:
        raise ValueError(f"keys.{index}.times is {times!r}; expected a whole number from 1 to 60")
    gap = max(0.08, key["t"] - other["t"])
    made, t = [], key["t"]
    for n in range(2 * count - 1):
        source = other if n % 2 == 0 else key
        t += gap
        made.append({**source, "id": f"{source['id']}~{n // 2 + 2}", "t": round(t, 6), "root": {}})
    return made


def _ran_over(found: list[dict[str, Any]]) -> bool:
    return "~" in str(found[-1]["id"])


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def contact_of(text: str) -> dict[str, str]:
    part, _, surface = text.partition(":")
    return {"part": part, "surface": surface or "floor"}
