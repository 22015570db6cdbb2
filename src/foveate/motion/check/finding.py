"""Finding: one thing that is wrong, or may be, with a motion or a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warn", "info"]
ORDER = {"error": 0, "warn": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """One finding of the linter.

    Args:
        code: Short name of the check; the table in `check/codes.py` explains it.
        severity: "error", "warn" or "info".
        message: One sentence with numbers.
        part: Body part or joint, if one is to blame.
        key: Id of the key, in a plan.
        frames: First and last frame, in a clip.
        value: What was measured.
        limit: What would have been right.
        unit: Of both.
        fix: What `repair` would do; empty if it cannot.
    """

    code: str
    severity: Severity
    message: str
    part: str = ""
    key: str = ""
    frames: tuple[int, int] | None = None
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what is empty."""
        return {k: v for k, v in asdict(self).items() if v not in (None, "")}

    @property
    def where(self) -> str:
        """Key or frames in words."""
        if self.key:
            return f"key {self.key}"
        if self.frames is None:
            return "whole"
        first, last = self.frames
        return f"frame {first}" if first == last else f"frames {first}–{last}"


def ordered(findings: list[Finding]) -> list[Finding]:
    """Errors first, then by code and place."""
    return sorted(
        findings, key=lambda f: (ORDER[f.severity], f.code, f.frames or (-1, -1), f.key, f.part)
    )
