"""Style: how a motion is done. The eight presets of the paper, and any StyleSpec.

The one thing to know: a style never changes what is planted where; it lays offsets on postures,
scales amplitudes, gaits and time, and adds a wander of the weight that stays within the support.
"""

from __future__ import annotations

import numpy as np

from ..body import DOFS
from ..plan import Gait, KeyframePlan, StyleSpec
from ..pose import apply_dofs
from ..rotations import Array

PRESETS: dict[str, StyleSpec] = {
    style.name: style
    for style in (
        StyleSpec(
            name="happy",
            dofs={"torso.flex": -4, "head_look.flex": -6, "B_elbow.flex": 12, "B_shoulder.abd": 4},
            amplitude=1.1, tempo=1.12, step_length=1.05, arm_swing=1.5, bounce=0.02,
        ),
        StyleSpec(
            name="proud",
            dofs={"torso.flex": -8, "head_look.flex": -8, "B_collar.prot": -8,
                  "B_shoulder.abd": 6},
            amplitude=1.05, tempo=0.92, step_length=1.1, arm_swing=1.2,
        ),
        StyleSpec(
            name="angry",
            dofs={"torso.flex": 8, "head_look.flex": 4, "B_elbow.flex": 35, "B_collar.elev": 6,
                  "B_shoulder.abd": 6},
            amplitude=1.15, tempo=1.25, step_length=1.1, arm_swing=1.6,
        ),
        StyleSpec(
            name="childlike",
            dofs={"torso.flex": -3, "head_look.flex": -8, "B_shoulder.abd": 14,
                  "B_elbow.flex": 20},
            amplitude=1.1, tempo=1.15, step_length=0.8, step_width=1.1, arm_swing=1.8,
            bounce=0.03, jitter=0.06,
        ),
        StyleSpec(
            name="depressed",
            dofs={"torso.flex": 18, "head_look.flex": 15, "B_collar.prot": 8},
            amplitude=0.85, tempo=0.75, step_length=0.8, arm_swing=0.4,
        ),
        StyleSpec(
            name="drunk",
            dofs={"torso.flex": 6, "head_look.flex": 8, "head_look.lat": 6, "B_shoulder.abd": 8},
            amplitude=1.0, tempo=0.85, step_length=0.85, step_width=1.5, arm_swing=0.8,
            sway=0.04, jitter=0.1, lag_s=0.12,
        ),
        StyleSpec(
            name="old",
            dofs={"torso.flex": 22, "head_look.flex": -10, "B_knee.flex": 15, "B_hip.flex": 9,
                  "B_ankle.dorsi": 6, "B_elbow.flex": 20},
            amplitude=0.8, tempo=0.7, step_length=0.6, step_width=1.15, arm_swing=0.5,
        ),
        StyleSpec(
            name="heavy",
            dofs={"torso.flex": 5, "B_knee.flex": 10, "B_hip.flex": 6, "B_ankle.dorsi": 4,
                  "B_shoulder.abd": 10, "B_elbow.flex": 10},
            amplitude=0.95, tempo=0.8, step_length=0.9, step_width=1.5, arm_swing=0.8,
        ),
    )
}  # fmt: skip
"""Name → what it means."""


class Style:
    """A StyleSpec, resolved: the preset of its name below, its own fields above."""

    def __init__(self, spec: StyleSpec | None) -> None:
        spec = spec or StyleSpec()
        preset = PRESETS.get(spec.name.lower(), StyleSpec())
        amount = spec.amount
        dofs = {name: value * amount for name, value in preset.dofs.items()}
        for name, value in spec.dofs.items():
            dofs[name] = dofs.get(name, 0.0) + value * amount
        self.offsets = apply_dofs(np.zeros(47), dofs)

        def scaled(name: str, neutral: float) -> float:
            value = getattr(spec, name)
            value = getattr(preset, name) if value is None else value
            return neutral if value is None else neutral + (value - neutral) * amount

        self.amplitude = scaled("amplitude", 1.0)
        self.tempo = max(0.2, scaled("tempo", 1.0))
        self.step_length = scaled("step_length", 1.0)
        self.step_width = scaled("step_width", 1.0)
        self.arm_swing = scaled("arm_swing", 1.0)
        self.sway = scaled("sway", 0.0)
        self.jitter = scaled("jitter", 0.0)
        self.bounce = scaled("bounce", 0.0)
        self.lag_s = scaled("lag_s", 0.0)

    @classmethod
    def of(cls, plan: KeyframePlan) -> Style:
        return cls(plan.style)

    def laid_on(self, hinges: Array) -> Array:
        """A neutral posture in this style, radians `[47]`."""
        return hinges + self.offsets

    def amplified(self, base: Array, wished: Array, neutral: Array) -> Array:
        """Angles that a key sets, laid on the style and scaled about the neutral stance."""
        changed = np.abs(wished - base) > 1e-9
        if not changed.any():
            return wished
        # an arm that is nearly overhead has no room for more: the hands would cross
        room = np.clip((np.radians(140) - np.abs(wished - neutral)) / np.radians(60), 0, 1)
        more = 1.0 + (self.amplitude - 1.0) * np.where(self.amplitude > 1.0, room, 1.0)
        scaled = neutral + self.offsets + (wished - neutral) * np.where(_UPPER, more, 1.0)
        # the offsets of a bent arm or leg would be too much on top of a large angle
        small = np.abs(wished - neutral) < np.radians(40)
        laid = np.where(small | ~_LIMB, scaled, scaled - self.offsets)
        return np.where(changed, laid, wished)

    def gait(self, gait: Gait) -> dict[str, float]:
        """Scales of a gait in this style."""
        return {
            "length": self.step_length,
            "width": self.step_width,
            "arm_swing": self.arm_swing,
            "tempo": self.tempo,
        }


_UPPER = np.array(
    [
        any(word in dof.name for word in ("spine", "neck", "head", "shoulder", "elbow", "collar"))
        for dof in DOFS
    ]
)
_LIMB = np.array([dof.name[:2] in ("L_", "R_") for dof in DOFS])
