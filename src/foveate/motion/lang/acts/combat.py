"""Fighting, throwing, catching, lifting: fast actions with a wind-up and a follow-through."""

from __future__ import annotations

import re

from ..poses import BODY
from .arms import stand_back
from .common import (
    WORD,
    Frame,
    State,
    Step,
    angles,
    arm_side,
    one_arm,
    other,
    step,
)


def punch(f: Frame, s: State) -> list[Step]:
    """Guard, blows with the trunk behind them, back to guard."""
    kind = f.setting("kind") or ("hook" if "hook" in f.text else "jab")
    lead = one_arm(f)
    if f.direction(among=("left", "right")):
        lead = "L" if f.direction(among=("left", "right")) == "left" else "R"
    one_sided = arm_side(f, "") in ("L", "R") or bool(f.direction(among=("left", "right")))
    made = [step(0.5, "takes a guard", BODY["guard"], lead)]
    blows = f.count(1 if one_sided and kind != "jab" else 2 if one_sided else 4)
    if f.times is None and f.seconds:
        blows = max(2, min(24, round(f.seconds / 0.55)))
    for n in range(blows):
        side = lead if one_sided else (lead if n % 2 == 0 else other(lead))
        sign = 1 if side == "R" else -1
        wind = {
            "jab": f"torso rot {-6 * sign}",
            "hook": f"A_shoulder elev 70 plane 15, A_elbow 95, torso rot {-26 * sign}",
            "uppercut": (
                f"A_shoulder elev 18 plane 10, A_elbow 95, torso rot {-18 * sign}, B_knee 38,"
                " B_hip 32, B_ankle 14"
            ),
        }[kind]
        blow = {
            "jab": (
                f"A_shoulder elev 90 plane 92, A_elbow 6, A_collar prot 14, torso rot {26 * sign}"
            ),
            "hook": f"A_shoulder elev 88 plane 108, A_elbow 88, torso rot {34 * sign}",
            "uppercut": (
                f"A_shoulder elev 82 plane 96, A_elbow 105, torso rot {28 * sign} flex 2, "
                "B_knee 16, B_hip 12, B_ankle 5"
            ),
        }[kind]
        made.append(step(0.2, "winds up", wind, side))
        made.append(step(0.2, f"{kind} with the {WORD[side]}", blow, side, ease="snap"))
        back = angles(BODY["guard"], side) | {"torso.rot": 0.0, f"{side}_collar.prot": 0.0}
        made.append(Step(0.22, back, "back to guard"))
    made[-1].hold = 0.2
    return [*made, stand_back(s)]


def block(f: Frame, s: State) -> list[Step]:
    """A guard, kept."""
    s.held |= {"L", "R"}
    made = step(0.4, "takes a guard", BODY["guard"] + ", B_shoulder elev 66 plane 76 axial 20, "
                "B_elbow 128, head_look 8", hold=f.seconds or 0.9)  # fmt: skip
    return [made, stand_back(s)] if "stance" not in f.text else [made]


def chop(f: Frame, s: State) -> list[Step]:
    """Both hands overhead, then down in front."""
    side = arm_side(f, "B")
    made = []
    for _ in range(f.count(2, 8)):
        made.append(step(0.6, "raises the blade", "A_shoulder elev 150 plane 80, A_elbow 70, "
                         "A_collar 18, torso -8", side))  # fmt: skip
        made.append(
            step(
                0.28,
                "strikes down",
                "A_shoulder elev 48 plane 92, A_elbow 8, A_collar 0, "
                "torso 28, B_knee 34, B_hip 30, B_ankle 12",
                side,
                ease="accelerate",
                hold=0.15,
            )
        )
        made.append(step(0.5, "rises", "torso 4, B_knee 18, B_hip 12, B_ankle 6", side))
    return [*made, stand_back(s)]


def lunge_thrust(f: Frame, s: State) -> list[Step]:
    """A long step with the sword arm straight (fencing)."""
    side = one_arm(f)
    made = [step(0.6, "on guard", "A_shoulder elev 55 plane 75, A_elbow 85, O_shoulder elev 70 "
                 "plane -30, O_elbow 80, B_knee 28, B_hip 22, B_ankle 9", side)]  # fmt: skip
    for _ in range(f.count(1, 4)):
        out = step(0.5, "lunges and thrusts", "A_shoulder elev 90 plane 88, A_elbow 3, A_hip 62, "
                   "A_knee 68, A_ankle 10, O_hip -6, O_knee 24, O_ankle 14, O_shoulder elev 60 "
                   "plane -40, O_elbow 5, torso 8", side, steady=True, hold=0.4)  # fmt: skip
        out.contacts = [{"part": f"{side}_foot", "step": (0.5, 0.0)}, f"{other(side)}_foot"]
        out.root = {"travel": (0.25, 0.0)}
        back = step(
            0.7,
            "recovers",
            "A_shoulder elev 55 plane 75, A_elbow 85, B_knee 28, B_hip 22, "
            "B_ankle 9, O_shoulder elev 70 plane -30, O_elbow 80",
            side,
            steady=True,
        )
        back.contacts = [{"part": f"{side}_foot", "step": (-0.5, 0.0)}, f"{other(side)}_foot"]
        back.root = {"travel": (-0.25, 0.0)}
        made += [out, back]
    return [*made, stand_back(s)]


THROWS = {
    # wind-up, release, follow-through
    "over": (
        (
            "A_shoulder elev 100 plane -10 axial -60, A_elbow 100, torso rot {-34} lat {-6}, "
            "O_shoulder elev 65 plane 75, O_elbow 10, B_knee 24, B_hip 18, B_ankle 8"
        ),
        (
            "A_shoulder elev 115 plane 80 axial -20, A_elbow 22, torso rot {26} flex 10, "
            "O_shoulder elev 40 plane 20, O_elbow 50"
        ),
        (
            "A_shoulder elev 40 plane 110, A_elbow 25, torso rot {34} flex 18, O_shoulder elev 30 "
            "plane -30, O_elbow 30"
        ),
    ),
    "under": (
        (
            "A_shoulder elev 55 plane -60, A_elbow 8, torso flex 14 rot {-16}, B_knee 32, B_hip 28,"
            " B_ankle 11, O_shoulder elev 35 plane 60, O_elbow 30"
        ),
        "A_shoulder elev 62 plane 86, A_elbow 8, torso flex 8 rot {10}",
        "A_shoulder elev 125 plane 84, A_elbow 30, torso flex 0 rot {12}, B_knee 16, B_hip 10",
    ),
    "javelin": (
        (
            "A_shoulder elev 92 plane -40 axial -40, A_elbow 20, torso rot {-40} flex -8, "
            "O_shoulder elev 95 plane 70, O_elbow 5, B_knee 26, B_hip 16, B_ankle 9"
        ),
        (
            "A_shoulder elev 145 plane 70, A_elbow 25, torso rot {22} flex 8, O_shoulder elev 40 "
            "plane 0, O_elbow 60"
        ),
        (
            "A_shoulder elev 55 plane 105, A_elbow 15, torso rot {34} flex 24, O_shoulder elev 30 "
            "plane -40"
        ),
    ),
    "shotput": (
        (
            "A_shoulder elev 62 plane 40 axial -10, A_elbow 140 pron 60, A_wrist -30, torso rot"
            " {-40} lat {-12} flex 10, O_shoulder elev 75 plane 60, O_elbow 15, B_knee 46, B_hip"
            " 36, B_ankle 14"
        ),
        (
            "A_shoulder elev 125 plane 80, A_elbow 6 pron 20, A_wrist 10, torso rot {28} lat 0 flex"
            " 0, O_shoulder elev 40 plane -20, O_elbow 80, B_knee 14, B_hip 9, B_ankle 5"
        ),
        "A_shoulder elev 90 plane 95, A_elbow 10, torso rot {36} flex 10",
    ),
    "discus": (
        (
            "A_shoulder elev 75 plane -50, A_elbow 5, torso rot {-48}, O_shoulder elev 70 plane 90,"
            " O_elbow 40, B_knee 44, B_hip 34, B_ankle 14"
        ),
        (
            "A_shoulder elev 90 plane 45, A_elbow 5, torso rot {20}, O_shoulder elev 60 plane 0, "
            "O_elbow 60, B_knee 18, B_hip 12"
        ),
        "A_shoulder elev 100 plane 115, A_elbow 30, torso rot {46}",
    ),
    "bowl": (
        (
            "A_shoulder elev 60 plane -60, A_elbow 4, torso flex 36 rot {-14}, B_hip 44, B_knee 42,"
            " B_ankle 15, O_shoulder elev 60 plane 20, O_elbow 10, head_look -20"
        ),
        "A_shoulder elev 40 plane 86, A_elbow 5, torso flex 40 rot {6}",
        "A_shoulder elev 110 plane 86, A_elbow 30, torso flex 26 rot {10}, B_knee 34, B_hip 36",
    ),
}
"""Kind of throw → wind-up, release, follow-through; {n} is an angle towards the throwing side."""


def throw(f: Frame, s: State) -> list[Step]:
    """Wind up, throw, follow through, come back."""
    side = one_arm(f)
    kind = f.setting("kind", "over")
    if "underhand" in f.text or "underarm" in f.text:
        kind = "under"
    sign = 1 if side == "R" else -1
    made = []
    for _ in range(f.count(1, 4)):
        for part, dt, text, hold in zip(
            THROWS[kind], (0.8, 0.24, 0.25), ("winds up", "throws", "follows through"),
            (0.12, 0.0, 0.25), strict=True,
        ):  # fmt: skip
            part = re.sub(r"\{(-?\d+)\}", lambda m: str(int(m[1]) * sign), part)
            ease = "accelerate" if text == "throws" else "smooth"
            made.append(
                step(dt, f"{text} with the {WORD[side]} arm", part, side, hold=hold, ease=ease)
            )
        made.append(stand_back(s))
        made[-1].dofs["torso.lat"] = 0.0
    s.carrying = False
    return made


def dodge(f: Frame, s: State) -> list[Step]:
    """A quick lean and bend away."""
    side = 1 if f.direction(among=("left", "right")) != "right" else -1
    if f.direction() == "back":
        away = step(0.3, "leans back", "torso -18, head_look -8, B_knee 30, B_hip 8, B_ankle 12")
    else:
        away = step(
            0.3,
            "dodges",
            f"torso lat {26 * side} flex 12, B_knee 42, B_hip 32, B_ankle 14, "
            f"head_look lat {8 * side}, B_shoulder elev 50 plane 60 axial 20, B_elbow 115",
        )
    away.hold = 0.15
    back = stand_back(s, 0.5)
    back.dofs |= {"torso.lat": 0.0, "head_look.lat": 0.0}
    back.free = False
    return [away, back] * f.count(1, 5)


def duck(f: Frame, s: State) -> list[Step]:
    """A quick drop of head and trunk."""
    down = step(0.35, "ducks", "B_hip 82, B_knee 84, B_ankle 24, torso 32, head_look 18, "
                "B_shoulder elev 40 plane 60, B_elbow 90", hold=0.35, steady=True)  # fmt: skip
    back = stand_back(s, 0.6)
    back.dofs |= {"head_look.flex": 0.0}
    back.free = False
    return [down, back] * f.count(1, 5)
