"""What the actions share: weight on one leg, releasing the arms, counting."""

from __future__ import annotations

from ..frames import Frame
from ..score import State, Step, angles, arms_down, other, rest_of, step

FEET = ["L_foot", "R_foot"]
WORD = {"L": "left", "R": "right", "B": "both"}


def shift(side: str, dt: float = 0.55) -> Step:
    """The weight moves over one foot, so that the other can leave the floor."""
    return Step(dt, {}, f"shifts the weight to the {WORD[side]} leg", support=[f"{side}_foot"])


def on_one(side: str, made: Step) -> Step:
    """The same step standing on one foot only."""
    made.contacts, made.support, made.steady = [f"{side}_foot"], [f"{side}_foot"], True
    return made


def on_both(made: Step) -> Step:
    """The same step with both feet down again."""
    made.contacts = list(FEET)
    return made


def release(s: State, sides: str = "LR", dt: float = 0.6) -> Step:
    """The arms come down; left out when the next action needs them."""
    found = arms_down(*sides)
    return Step(dt, found, "lets the " + ("arms" if len(sides) > 1 else "arm") + " down", free=True)


def to_neutral(s: State, dt: float = 0.8, text: str = "stands relaxed") -> Step:
    """Every angle that departs from the stance goes back."""
    return Step(dt, rest_of(s.dofs), text)


def leg_side(f: Frame, default: str = "R") -> str:
    """L or R: the leg that acts."""
    side = f.side("leg", "foot", "knee", "heel", "toe", default=default)
    return side if side in "LR" and side else default


def arm_side(f: Frame, default: str = "R") -> str:
    """L, R or B: the arm that acts."""
    side = f.side("arm", "hand", "elbow", "wrist", "shoulder", default="")
    if side in ("L", "R", "B"):
        return side
    for limb in f.limbs:
        if limb.side in ("L", "R"):
            return limb.side
    return default


def one_arm(f: Frame, default: str = "R") -> str:
    """L or R, never both."""
    side = arm_side(f, default)
    return side if side in ("L", "R") else default


__all__ = [
    "FEET", "WORD", "Frame", "State", "Step", "angles", "arm_side", "arms_down", "leg_side",
    "on_both", "on_one", "one_arm", "other", "release", "rest_of", "shift", "step", "to_neutral",
]  # fmt: skip
