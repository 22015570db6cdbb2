"""What every edit uses: the words of a change, and the mark it leaves on the plan.

The one thing to know: an edited plan has no poses; they are solved again.
"""

from __future__ import annotations

import re

from .plan import KeyframePlan

CLAUSE = r"(?:,|;|\band then\b|\bthen\b|\band\b)"
"""Where the text of a plan may be cut."""


def normal(text: str) -> str:
    from .lang.tokens import normalize

    return " " + re.sub(r"[^\w\s°%.-]", " ", normalize(text)).strip() + " "


def done(plan: KeyframePlan, note: str) -> KeyframePlan:
    """The plan with its poses dropped and the change noted."""
    for key in plan.keys:
        key.pose = None
    plan.notes.append(f"edited: {note}")
    plan.coverage = None
    return KeyframePlan.from_json(plan.to_json())
