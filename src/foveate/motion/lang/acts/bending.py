"""Bending over feet that stay: squats, bows, leans, lunges, twists."""

from __future__ import annotations

from ..poses import BODY
from ..score import STANCE
from .common import (
    WORD,
    Frame,
    State,
    Step,
    angles,
    arms_down,
    other,
    shift,
    step,
)
from .posture import trunk_or_leg


def squat(f: Frame, s: State) -> list[Step]:
    """Down and up; `hold` or a following action may keep it low."""
    made = []
    arms = "" if s.held else ", B_shoulder elev 80 plane 88, B_elbow 8"
    low = f"B_hip 95 abd 8, B_knee 110, B_ankle 30, torso 24, head_look -15{arms}"
    rise = {n: STANCE.get(n, 0.0) for n in angles(low)}
    if s.held:
        rise = {n: v for n, v in rise.items() if trunk_or_leg(n)}
    for _ in range(f.count(1)):
        made.append(step(1.1, "squats", low, hold=f.seconds or 0.25, steady=f.amount >= 1))
        made.append(Step(1.0, rise, "stands up", free=f.times is None, steady=True))
    return made


def crouch(f: Frame, s: State) -> list[Step]:
    """Low and round, kept."""
    s.posture = "squat"
    arms = "" if s.held else ", B_shoulder elev 32 plane 70 axial 20, B_elbow 80"
    return [
        step(
            0.8,
            "crouches",
            f"B_hip 98, B_knee 104, B_ankle 29, torso 36, head_look -10{arms}",
            hold=f.seconds or 0.8,
            steady=f.amount >= 1,
        )
    ]


def stride_pose(f: Frame, s: State, side: str, arms: str, text: str, stay: float) -> list[Step]:
    """A long step with the front knee bent, and back."""
    out = step(
        0.9,
        text,
        f"A_hip 68, A_knee 80, A_ankle 12, O_hip -6, O_knee 30, O_ankle 18, torso 0, {arms}",
        side,
        hold=stay,
        steady=True,
    )
    out.contacts = [{"part": f"{side}_foot", "step": (0.55, 0.0)}, f"{other(side)}_toes"]
    out.root = {"travel": (0.28, 0.0)}
    back = Step(0.9, {n: s.base(n) for n in out.dofs}, "steps back", steady=True)
    back.contacts = [{"part": f"{side}_foot", "step": (-0.55, 0.0)}, f"{other(side)}_foot"]
    back.root = {"travel": (-0.28, 0.0)}
    return [shift(other(side), 0.5), out, shift(other(side), 0.4), back]


def lunge(f: Frame, s: State) -> list[Step]:
    """A long step forwards with both knees bent, and back; sides alternate."""
    named = f.side("leg", "foot", "knee", default="")
    made = []
    for n in range(f.count(1, 6)):
        side = named if named in ("L", "R") else "LR"[n % 2]
        arms = "" if s.held else "B_shoulder elev 45 plane -44 axial 46, B_elbow 100"
        made += stride_pose(f, s, side, arms or "torso 0", f"lunges with the {WORD[side]} leg",
                            f.seconds or 0.3)  # fmt: skip
    return made


def bow(f: Frame, s: State) -> list[Step]:
    """From the hips, head follows, and up."""
    arms = "" if s.held else ", B_shoulder elev 12 plane 60, B_elbow 12"
    made = []
    for _ in range(f.count(1, 6)):
        made.append(step(1.1, "bows", BODY["bow"] + arms, hold=f.seconds or 0.7))
        made.append(
            Step(
                1.1,
                s.angles("L_hip", "R_hip", "L_knee", "R_knee", "L_ankle", "R_ankle")
                | {
                    "torso.flex": 0.0,
                    "head_look.flex": 0.0,
                },
                "straightens up",
            )
        )
    return made


def bend(f: Frame, s: State) -> list[Step]:
    """The trunk forwards (or to a side, or back), kept a moment."""
    where = f.direction("forward")
    if where in ("left", "right", "side"):
        return side_bend(f, s)
    if where == "back":
        made = step(0.9, "bends back", "torso -28, head_look -20, B_hip -4, B_knee 22, B_ankle 10")
    else:
        angle = min(f.degrees or 90.0, 110.0) / 90.0
        made = step(
            1.1,
            "bends forward",
            f"B_hip {60 * angle:.0f}, B_knee 16, B_ankle -4, "
            f"torso {46 * angle:.0f}, head_look 10, B_shoulder elev {30 * angle:.0f} plane 86",
        )
    made.hold = f.seconds or 0.5
    back = Step(1.0, {n: s.base(n) for n in made.dofs}, "straightens up", free=True)  # fmt: skip
    return [made, back]


def lean(f: Frame, s: State) -> list[Step]:
    """A smaller, stiffer bend, any direction, both feet down."""
    where = f.direction("forward" if not f.object("wall") else "side")
    angle = min(f.degrees or 20.0, 32.0)
    told = {
        "left": f"torso lat {angle}",
        "right": f"torso lat -{angle}",
        "side": f"torso lat -{angle}",
        "back": f"torso -{min(angle, 16)}, head_look -6",
    }.get(where, f"torso {angle}, B_hip {9 + angle * 0.6:.0f}")
    made = step(0.9, f"leans {where}", told, hold=f.seconds or 0.7)
    back = Step(0.9, {n: s.base(n) for n in made.dofs}, "stands upright", free=True)  # fmt: skip
    return [made, back]


def side_bend(f: Frame, s: State) -> list[Step]:
    """The trunk to the side, the upper arm overhead."""
    where = f.direction(among=("left", "right"))
    order = [where] if where else ["left", "right"]
    if {"left", "right"} <= set(f.directions) or "sidetoside" in f.flags:
        order = ["left", "right"]
    made = []
    for _ in range(f.count(1, 6)):
        for side in order:
            arm, sign = ("R", 1) if side == "left" else ("L", -1)
            told = (
                f"torso lat {46 * sign}, head_look lat {10 * sign}, A_shoulder elev 160 plane 10,"
                " A_elbow 20, A_collar 22"
            )
            made.append(
                Step(
                    1.0,
                    angles(told, arm) | arms_down(other(arm)),
                    f"bends to the {side}",
                    hold=f.seconds or 0.4,
                )
            )
    made.append(Step(0.9, arms_down() | {"torso.lat": 0.0, "head_look.lat": 0.0}, "stands upright"))
    return made


def twist(f: Frame, s: State) -> list[Step]:
    """The trunk turns to the left and to the right, feet stay."""
    where = f.direction(among=("left", "right"))
    arms = "" if s.held else ", B_shoulder elev 40 plane 45 axial 20, B_elbow 80"
    angle = min(f.degrees or 46.0, 58.0)
    made = []
    for _ in range(f.count(1 if where else 2, 10)):
        for sign in (1,) if where == "left" else (-1,) if where == "right" else (1, -1):
            made.append(
                step(
                    0.7,
                    "twists " + ("left" if sign > 0 else "right"),
                    f"torso rot {angle * sign}, head_look rot {20 * sign}{arms}",
                    hold=0.1,
                )
            )
    made.append(
        Step(
            0.7,
            {"torso.rot": 0.0, "head_look.rot": 0.0} | ({} if s.held else arms_down()),
            "faces ahead",
        )
    )
    return made
