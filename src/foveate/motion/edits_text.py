"""Edits of what is done: an action replaced, moved to the front, put before or after another.

The one thing to know: these change the text of a plan, clause by clause, and have it designed
again; so they work on plans of the offline designer that still have their text.
"""

from __future__ import annotations

import re

from .edits_common import CLAUSE
from .plan import KeyframePlan

LEAD = r"^(please |instead,? |rather |now |make (him|her|it|them) |let (him|her|it|them) |have (him|her|it|them) )+"  # noqa: E501
ADDS = r"^(then|also|add|and|finally|after that|afterwards|at the end|first,|begin|start)\b"
MORE = r"\b(again|once more|another|one more)\b"


def changed_text(plan: KeyframePlan, text: str) -> str | None:
    """The text of the plan with the change in it, or None if the change is of another kind."""
    if plan.source != "offline" or not plan.text:
        return None
    clauses = [c.strip() for c in re.split(CLAUSE, plan.text) if c and c.strip()]
    told = re.sub(LEAD, "", text.strip().lower()).rstrip(" .!")
    found = (
        _instead_of(clauses, told)
        or _beside(clauses, told)
        or _first(clauses, told)
        or _replaced(clauses, told)
    )
    return ", then ".join(found) if found else None


def _instead_of(clauses: list[str], told: str) -> list[str] | None:
    match = re.fullmatch(r"(.+?) (?:instead of|rather than) (.+)", told)
    at = _speaks_of(clauses, match[2]) if match else None
    if match is None or at is None or not _actions(match[1]):
        return None
    return [*clauses[:at], match[1], *clauses[at + 1 :]]


def _beside(clauses: list[str], told: str) -> list[str] | None:
    """`turn around before sitting down`: what is there already says where the other goes."""
    match = re.fullmatch(r"(.+?),? (before|after) (.+)", told)
    at = _speaks_of(clauses, match[3]) if match else None
    if match is None or at is None or not _actions(match[1]):
        return None
    at += match[2] == "after"
    return [*clauses[:at], match[1], *clauses[at:]]


def _first(clauses: list[str], told: str) -> list[str] | None:
    """`sit down first`, of an action that comes later now."""
    match = re.fullmatch(r"(?:first,? (.+)|(.+?),? first)", told)
    if match is None:
        return None
    body = match[1] or match[2]
    at = _speaks_of(clauses, body)
    if at is None:
        return None
    return [clauses[at], *clauses[:at], *clauses[at + 1 :]]


def _replaced(clauses: list[str], told: str) -> list[str] | None:
    """`wave five times`, `nod while waving`: the clause with that action is told anew."""
    if re.match(ADDS, told) or re.search(MORE, told):
        return None
    told = re.sub(r"[ ,]*\binstead$", "", told)
    at = _speaks_of(clauses, told)
    return None if at is None else [*clauses[:at], told, *clauses[at + 1 :]]


def _speaks_of(clauses: list[str], told: str) -> int | None:
    """Index of the last clause with one of the actions that the words name."""
    wanted = _actions(told)
    for at in reversed(range(len(clauses))):
        if wanted & _actions(clauses[at]):
            return at
    return None


def _actions(text: str) -> set[str]:
    """Senses and verbs of a piece of text; empty if nothing is understood."""
    from .lang.understanding import understand

    try:
        frames = understand(text).frames
    except ValueError:
        return set()
    return {name for f in frames if f.sense for name in (f.sense.name, f.verb) if name}
