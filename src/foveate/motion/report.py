"""Report: how a clip came about, what was found in it, and what it cost.

The one thing to know: every field may stay empty; nothing here is guessed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Report:
    """How a clip was made, and what was measured on it. Every field may stay empty.

    Attributes:
        tracker: "T1" … "T5", or "" for a kinematic clip.
        preset: Which weights of the tracker were kept.
        physical: False when a helper force held the body; None if not simulated.
        fell: Whether the body fell.
        good: Whether it stayed near the kinematic clip and did not fall.
        tracking_error_cm: Mean joint distance to the kinematic clip.
        end_error_cm: The same in the last frame.
        residual_force: Mean helper force as a share of body weight.
        residual_peak: Its peak.
        cleaned_cm: Largest way that a foot was moved after the simulation, so that it stands.
        torque_saturation: Share of (frame, hinge) pairs at the torque limit.
        ground_force: Total vertical contact force per frame in newtons.
        attempts: What was tried, in order, in words.
        findings: Of the linter, as plain objects.
        seconds: Wall time by stage.
        usage: Calls and tokens of a language model.
        seed: Of everything random.
        versions: Of the packages that matter.
        notes: Anything a reader should know.
    """

    tracker: str = ""
    preset: str = ""
    physical: bool | None = None
    fell: bool | None = None
    good: bool | None = None
    tracking_error_cm: float | None = None
    end_error_cm: float | None = None
    residual_force: float = 0.0
    residual_peak: float = 0.0
    cleaned_cm: float = 0.0
    torque_saturation: float | None = None
    ground_force: list[float] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Report:
        """Unknown fields are refused with a ValueError."""
        known = {f.name for f in fields(cls)}
        extra = sorted(set(data) - known)
        if extra:
            raise ValueError(f"a report has no field {extra[0]!r}; fields are {', '.join(known)}")
        return cls(**data)
