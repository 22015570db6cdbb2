"""Kneeling on one knee or on both, and getting up from there.

The one thing to know: the foot of the kneeling leg goes back by a step first; a knee below the hip
of somebody with both feet side by side would carry nothing.
"""

from __future__ import annotations

from .common import WORD, Frame, State, Step, other, shift, step
from .posture import stand_up

KNEEL_STEP = 0.5
"""Metres that the foot of the kneeling leg goes back."""


def kneel(f: Frame, s: State) -> list[Step]:
    """Onto one knee, or onto both when the text says so."""
    limb = f.limb("knee", "leg")
    both = f.verb != "propose" and (limb is None or limb.side == "B") and "one" not in f.text
    down = limb.side if limb and limb.side in ("L", "R") else "R"
    before = [] if s.posture == "stand" else stand_up(f, s)
    s.posture = "kneel" if both else "half_kneel"
    if both:
        return [*before, *_both_knees(f)]
    back = step(
        0.9,
        f"sets the {WORD[down]} foot back",
        "O_hip 38, O_knee 42, O_ankle 14, A_hip 4, A_knee 36, A_ankle 12, A_foot 30, torso 10",
        down,
        steady=True,
    )
    back.contacts = [f"{other(down)}_foot", {"part": f"{down}_toes", "step": (-KNEEL_STEP, 0.0)}]
    back.root = {"travel": (-KNEEL_STEP / 2, 0.0)}
    first = step(
        1.1,
        f"goes down on the {WORD[down]} knee",
        "O_hip 92, O_knee 92, O_ankle 2, A_hip 2, A_knee 92, A_ankle -10, A_foot 50, torso 8",
        down,
        steady=True,
    )
    first.contacts = [f"{other(down)}_foot", f"{down}_knee", f"{down}_toes"]
    s.down = down
    first.hold = f.seconds or 1.2
    return [*before, shift(other(down), 0.5), back, first]


def _both_knees(f: Frame) -> list[Step]:
    """Down between the toes, which keep the weight until the knees are there."""
    low = step(
        1.0, "bends the knees",
        "B_hip 80, B_knee 95, B_ankle 30, torso 16, B_shoulder elev 45 plane 85, B_elbow 15",
        steady=True,
    )  # fmt: skip
    toes = step(
        0.9, "sits onto the raised heels",
        "B_hip 92, B_knee 128, B_ankle 12, B_foot 30, torso 14, B_shoulder elev 50 plane 85",
        steady=True,
    )  # fmt: skip
    toes.contacts = ["L_toes", "R_toes"]
    knees = step(
        0.7, "drops onto the knees", "B_hip 62, B_knee 125, B_ankle 10, B_foot 50, torso 12",
        steady=True,
    )  # fmt: skip
    upright = step(
        1.0, "kneels",
        "B_hip 4, B_knee 94, B_ankle 20, B_foot 70, torso 2, B_shoulder elev 5, B_elbow 8",
        steady=True, hold=f.seconds or 1.2,
    )  # fmt: skip
    knees.contacts = upright.contacts = ["L_knee", "R_knee", "L_toes", "R_toes"]
    upright.root = {"travel": (KNEEL_STEP / 2, 0.0)}
    return [low, toes, knees, upright]


def _onto_knee(side: str) -> Step:
    """The weight moves onto a knee, so that the foot in front can leave the floor."""
    text = f"shifts the weight onto the {WORD[side]} knee"
    return Step(0.8, {}, text, support=[f"{side}_knee"], steady=True)


def rise_from_knees(s: State, was: str, home: Step) -> list[Step]:
    """Up from one knee, or from both by setting a foot forward first."""
    if was == "half_kneel" and s.down:
        return _rise_from_knee(s.down, home)
    foot = step(
        0.9,
        "puts one foot forward",
        "R_hip 92, R_knee 92, R_ankle 2, R_foot 0, L_hip 2, L_knee 92, torso 8",
        steady=True,
    )
    foot.contacts = ["L_knee", "L_toes", {"part": "R_foot", "step": (KNEEL_STEP, 0.0)}]
    return [_onto_knee("L"), foot, *_rise_from_knee("L", home)]


def _rise_from_knee(down: str, home: Step) -> list[Step]:
    """From half kneeling: up over the foot in front, then the other one joins."""
    up = other(down)
    rise = step(
        1.0,
        "rises over the foot in front",
        "O_hip 34, O_knee 38, O_ankle 13, A_hip 2, A_knee 30, A_ankle 11, A_foot 28, torso 10",
        down,
        steady=True,
    )
    rise.contacts = [f"{up}_foot", f"{down}_toes"]
    home.contacts = [f"{up}_foot", {"part": f"{down}_foot", "step": (KNEEL_STEP, 0.0)}]
    home.root = {"travel": (KNEEL_STEP / 2, 0.0)}
    home.dt = 0.9
    return [rise, shift(up, 0.5), home]
