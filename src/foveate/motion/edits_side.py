"""Edits that change the side: the other arm, the mirrored plan.

The one thing to know: a side is swapped in angles, goals, contacts and words alike.
"""

from __future__ import annotations

import re

from .edits_common import done
from .plan import KeyframePlan


def other_side(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    mirror = re.search(
        r" (mirror|mirrored|other side|swap|opposite side|other (hand|arm|leg|foot)|opposite"
        r" (hand|arm|leg|foot)) ",
        words,
    )
    named = re.search(
        r" (with|use|using) (the |his |her |their |your )?(left|right)"
        r" ?(hand|arm|leg|foot|one|side)? ",
        words,
    )
    if not mirror and not (named and len(words.split()) <= 7):
        return None
    if named and not mirror:
        wanted = "L" if named[3] == "left" else "R"
        if _leading(plan) == wanted:
            raise ValueError(f"the plan already uses the {named[3]} side; nothing to change")
    return done(_mirrored(plan), "left and right changed places")


def _leading(plan: KeyframePlan) -> str:
    """The side that moves more."""
    amount = {"L": 0.0, "R": 0.0}
    from .lang.score import STANCE

    for key in plan.keys:
        for name, value in key.dofs.items():
            if name[:2] in ("L_", "R_"):
                amount[name[0]] += abs(value - STANCE.get(name, 0.0))
    return max(amount, key=lambda s: amount[s])


def _mirrored(plan: KeyframePlan) -> KeyframePlan:
    swap = {"L_": "R_", "R_": "L_"}

    def other(name: str) -> str:
        return swap.get(name[:2], name[:2]) + name[2:]

    def words(text: str) -> str:
        text = re.sub(r"\bleft\b", "\0", text)
        return re.sub(r"\bright\b", "left", text).replace("\0", "right")

    data = plan.to_json()
    for key in data["keys"]:
        key.pop("pose", None)
        signs = {
            n: (
                -v
                if n.partition(".")[0] in ("torso", "head_look") and n.endswith((".lat", ".rot"))
                else v
            )
            for n, v in key.get("dofs", {}).items()
        }
        key["dofs"] = {other(n): v for n, v in signs.items()}
        key["parts"] = {
            words(p.replace("_", " ")).replace(" ", "_"): words(t)
            for p, t in key.get("parts", {}).items()
        }
        key["description"] = words(key.get("description", ""))
        for contact in key.get("contacts") or []:
            contact["part"] = other(contact["part"])
            if contact.get("step"):
                contact["step"] = [contact["step"][0], -contact["step"][1]]
        if isinstance(key.get("support"), list):
            key["support"] = [other(p) for p in key["support"]]
        root = key.get("root", {})
        for name in ("yaw_deg", "roll_deg", "spin_deg"):
            if root.get(name):
                root[name] = -root[name]
        if root.get("travel"):
            root["travel"] = [root["travel"][0], -root["travel"][1]]
        gait = key.get("gait") or {}
        for name in ("turn_deg", "direction_deg"):
            if gait.get(name) and abs(gait[name]) != 180:
                gait[name] = -gait[name]
        for goal in key.get("goals", []):
            for name in ("effector", "segment", "a", "b"):
                if goal.get(name):
                    goal[name] = other(goal[name])
            if isinstance(goal.get("target"), str):
                goal["target"] = words(other(goal["target"]).replace("_", " ")).replace(" ", "_")
            for name in ("hand", "foot"):
                if goal.get(name):
                    goal[name] = "R" if goal[name] == "L" else "L"
            if goal.get("offset"):
                goal["offset"][1] = -goal["offset"][1]
    data["text"] = words(data.get("text", ""))
    return KeyframePlan.from_json(data)
