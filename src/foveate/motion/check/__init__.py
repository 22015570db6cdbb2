"""The motion linter: what is wrong with a clip or a plan, and what can be mended.

The one thing to know: it works alone on any file that `load` reads; nothing here needs a plan, a
simulator or a model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload

from ..clip import MotionClip
from ..plan import KeyframePlan
from .clips import lint_clip
from .codes import CODES
from .finding import Finding
from .measures import Measures, measure
from .plans import lint_plan
from .repairs import repair_clip, repair_plan

__all__ = ["CODES", "Finding", "Measures", "lint", "measure", "repair"]


def lint(thing: MotionClip | KeyframePlan) -> list[Finding]:
    """Everything found in a clip or a plan, errors first.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(thing, MotionClip):
        return lint_clip(thing)
    if isinstance(thing, KeyframePlan):
        return lint_plan(thing)
    raise TypeError(f"lint takes a MotionClip or a KeyframePlan, not {type(thing).__name__}")


@overload
def repair(thing: MotionClip, findings: Iterable[Finding] | None = None) -> MotionClip: ...


@overload
def repair(thing: KeyframePlan, findings: Iterable[Finding] | None = None) -> KeyframePlan: ...


def repair(thing, findings=None):
    """A copy with what can be mended mended.

    Args:
        thing: A clip or a plan.
        findings: Of `lint`; looked for if None.

    Raises:
        TypeError: It is neither.
    """
    findings = lint(thing) if findings is None else findings
    if isinstance(thing, MotionClip):
        return repair_clip(thing, findings)
    return repair_plan(thing, findings)
