"""Gaits: footstep plans instead of key poses.

The one thing to know: a gait is a row of footholds along a path. Each step gives two knots, the end
of double support and the touch-down; legs follow from the footholds, arms swing against them, and
the weight is planned later over the whole motion. A negative double support is a flight; runs and
jogs are quick steps without one, because a body that runs with flights is lost by the controller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..plan import Gait
from ..rotations import Array
from .footholds import footholds
from .stepping import Walk

if TYPE_CHECKING:
    from .expand import Expander

# length, width share of the hips, swing, double support, lift, arms, lean, crouch, bounce, knee
_KINDS: dict[str, dict[str, float]] = {
    "walk": {"length": 0.48, "swing_s": 0.46, "double_s": 0.14, "lift": 0.07},
    "jog": {"length": 0.52, "swing_s": 0.42, "double_s": 0.1, "lift": 0.1, "lean_deg": 6},
    "run": {"length": 0.6, "swing_s": 0.4, "double_s": 0.1, "lift": 0.1, "lean_deg": 8},
    "march": {
        "length": 0.36, "swing_s": 0.9, "double_s": 0.3, "lift": 0.25, "knee_lift_deg": 70,
        "arm_swing": 1.6,
    },
    "tiptoe": {"length": 0.3, "swing_s": 0.5, "double_s": 0.2, "lift": 0.06, "heel_lift": 1.0},
    "sneak": {
        "length": 0.36, "swing_s": 0.65, "double_s": 0.3, "lift": 0.14, "crouch": 0.12,
        "lean_deg": 22, "arm_swing": 0.3,
    },
    "limp": {"length": 0.32, "swing_s": 0.45, "double_s": 0.25, "asymmetry": 0.5},
    "side-step": {"length": 0.3, "swing_s": 0.45, "double_s": 0.25, "direction_deg": 90},
    "back-step": {"length": 0.3, "swing_s": 0.45, "double_s": 0.25, "direction_deg": 180},
    "shuffle": {"length": 0.2, "swing_s": 0.35, "double_s": 0.2, "lift": 0.025, "arm_swing": 0.3},
    "stagger": {"length": 0.34, "swing_s": 0.45, "double_s": 0.2, "width": 0.26},
    "turn": {"length": 0.0, "swing_s": 0.42, "double_s": 0.22, "arm_swing": 0.2},
    "stairs": {"length": 0.3, "swing_s": 0.7, "double_s": 0.4, "lift": 0.1, "arm_swing": 0.5},
    "stones": {"length": 0.45, "swing_s": 0.6, "double_s": 0.4, "lift": 0.1, "arm_swing": 0.5},
    "hop": {"length": 0.25, "swing_s": 0.4, "double_s": -0.2, "lift": 0.1, "arm_swing": 0.3},
    "skip": {"length": 0.45, "swing_s": 0.4, "double_s": -0.1, "lift": 0.15, "knee_lift_deg": 50},
}  # fmt: skip
_COMMON = {
    "width": 0.17, "lift": 0.07, "knee_lift_deg": 0.0, "arm_swing": 1.0, "lean_deg": 0.0,
    "crouch": 0.0, "bounce": 0.0, "heel_lift": 0.0, "asymmetry": 0.0,
}  # fmt: skip

_WARY = {"length": 0.4, "swing_s": 0.5, "double_s": 0.2}
"""A walk over ground that is not even."""
_STRIDE, _BRISK = 0.5, {"swing_s": 0.5, "double_s": 0.15}
"""Stones farther apart than this, metres, are crossed at a walk: a body that stops over each of
them cannot bring its weight to the next before the leg behind is too short."""


@dataclass(frozen=True)
class Steps:
    """A gait with every number settled, in metres, seconds and radians."""

    length: float
    width: float
    swing: float
    double: float
    lift: float
    knee: float
    arms: float
    lean: float
    crouch: float
    bounce: float
    heel: float
    asymmetry: float
    direction: float


def settle(gait: Gait, expander: Expander) -> Steps:
    """The defaults of the kind, what the plan says, and the style."""
    style, scale = expander.style, expander.body.leg_length / 0.8146
    base = _COMMON | _KINDS[gait.kind]
    if gait.kind == "walk" and any(o.shape == "heightfield" for o in expander.scene.objects):
        base |= _WARY
    if gait.kind == "stones" and _widest(gait, expander) > _STRIDE:
        base |= _BRISK

    def told(name: str) -> float:
        value = getattr(gait, name)
        return float(base[name] if value is None else value)

    direction = gait.direction_deg or base.get("direction_deg", 0.0)
    own = gait.length is not None
    length = told("length") * (1.0 if own else scale * style.step_length)
    swing = told("swing_s") / style.tempo
    double = told("double_s") / (style.tempo if told("double_s") > 0 else 1.0)
    return Steps(
        length=length,
        width=told("width") * scale * style.step_width,
        swing=swing,
        double=double,
        lift=told("lift"),
        knee=told("knee_lift_deg"),
        arms=told("arm_swing") * style.arm_swing,
        lean=told("lean_deg"),
        crouch=told("crouch"),
        bounce=told("bounce") + style.bounce,
        heel=told("heel_lift"),
        asymmetry=told("asymmetry"),
        direction=np.radians(direction),
    )


def _widest(gait: Gait, expander: Expander) -> float:
    """The largest distance between the middles of things that are stepped onto, metres."""
    places = np.array([expander.scene[name].position[:2] for name in gait.onto or ()])
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).max(initial=0.0))


def walk(expander: Expander, gait: Gait, hinges: Array) -> None:
    """Append the knots of a gait to the expander's, and move its home and heading."""
    steps = settle(gait, expander)
    holds = footholds(expander, gait, steps)
    if not holds:
        return
    if steps.double < 0:
        from .running import run

        run(expander, gait, steps, holds, hinges)
        return
    Walk(expander, gait, steps, hinges).through(holds)
