"""The whole body: dancing, falling, exercises, moods. Dances are groove templates, no more."""

from __future__ import annotations

from ..poses import BODY
from .common import (
    FEET,
    Frame,
    State,
    Step,
    arms_down,
    other,
    release,
    rest_of,
    shift,
    step,
)


def hip_sway(f: Frame, s: State) -> list[Step]:
    """The weight and the hips from side to side, the trunk against them."""
    made = []
    for _n in range(f.count(2, 10)):
        for side, sign in (("L", 1), ("R", -1)):
            st = shift(side, 0.5)
            st.contacts = list(FEET)
            st.text = "sways the hips"
            st.dofs = {"torso.lat": -10.0 * sign, "head_look.lat": 4.0 * sign,
                       f"{side}_knee.flex": 8.0, f"{other(side)}_knee.flex": 26.0,
                       f"{side}_hip.flex": 5.0, f"{other(side)}_hip.flex": 17.0}  # fmt: skip
            made.append(st)
    legs = ("L_knee.flex", "R_knee.flex", "L_hip.flex", "R_hip.flex")
    home = rest_of(["torso.lat", "head_look.lat"]) | {n: s.base(n) for n in legs}
    return [*made, Step(0.6, home, "stands", contacts=list(FEET))]


def hip_circle(f: Frame, s: State) -> list[Step]:
    """Hips around, hands on them."""
    arms = "" if s.held else ", " + BODY["hands_on_hips"]
    made = []
    for _ in range(f.count(2, 6)):
        for told in (
            "torso 14 lat 0, B_hip 24",
            "torso 2 lat 14, B_hip 12",
            "torso -12 lat 0, B_hip 0",
            "torso 2 lat -14, B_hip 12",
        ):
            made.append(step(0.45, "circles the hips", told + arms))
            arms = ""
    back = {"torso.flex": 0.0, "torso.lat": 0.0, "L_hip.flex": 9.0, "R_hip.flex": 9.0}
    return [*made, Step(0.6, back | ({} if s.held else arms_down()), "stands", free=False)]


GROOVE = (
    (
        "L",
        (
            "A_shoulder elev 60 plane 60, A_elbow 95, O_shoulder elev 30 plane -20, O_elbow 70,"
            " torso rot 12 lat -6, head_look rot 8"
        ),
    ),
    (
        "R",
        (
            "O_shoulder elev 60 plane 60, O_elbow 95, A_shoulder elev 30 plane -20, A_elbow 70,"
            " torso rot -12 lat 6, head_look rot -8"
        ),
    ),
    (
        "L",
        "B_shoulder elev 130 plane 40, B_elbow 60, B_collar 14, torso rot -10 lat -6, head_look -8",
    ),
    ("R", "B_shoulder elev 70 plane 50, B_elbow 100, B_collar 4, torso rot 10 lat 6, head_look 4"),
)
"""Foot that carries the beat, and the rest of the body."""


def dance(f: Frame, s: State) -> list[Step]:
    """A groove: weight from foot to foot, knees on every beat, arms in turn."""
    bars = f.count(2, 8) if not f.seconds else max(1, min(8, round(f.seconds / 3.4)))
    made = []
    for _ in range(bars):
        for side, told in GROOVE:
            st = step(0.42, "dances", told)
            st.support, st.contacts = [f"{side}_foot"], list(FEET)
            knee, free = f"{side}_knee.flex", f"{other(side)}_knee.flex"
            st.dofs |= {
                knee: 14.0,
                free: 34.0,
                f"{side}_hip.flex": 9.0,
                f"{other(side)}_hip.flex": 20.0,
            }
            made.append(st)
            made.append(
                step(
                    0.42,
                    "dips on the beat",
                    "B_knee 36, B_hip 26, B_ankle 13",
                    steady=True,
                    contacts=list(FEET),
                )
            )
    return [*made, Step(0.8, arms_down() | rest_of(s.dofs), "stands", contacts=list(FEET))]


def fall(f: Frame, s: State) -> list[Step]:
    """Knees give way, down to the floor, and stays there."""
    s.held.clear()
    s.posture = "lie"
    fold = step(
        0.7,
        "the knees give way",
        "B_hip 105, B_knee 118, B_ankle 30, torso 40, head_look 18, B_shoulder elev 30 plane 60,"
        " B_elbow 30",
        steady=True,
    )
    sit = step(
        0.6,
        "drops onto the floor",
        "B_hip 100 abd 6, B_knee 105, torso 24, B_shoulder elev 40 plane -30, B_elbow 20",
        steady=True,
        contacts=[*FEET, "pelvis"],
    )
    flat = step(
        1.0,
        "lies on the floor",
        "B_hip 18, B_knee 30, B_ankle -8, torso 0, head_look 6, B_shoulder elev 40 plane 5,"
        " B_elbow 25",
        hold=1.2,
        steady=True,
    )
    flat.root, flat.contacts = {"pitch_deg": -86.0}, ["pelvis", "back"]
    return [fold, sit, flat]


def shiver(f: Frame, s: State) -> list[Step]:
    """Arms close to the body, small quick shakes."""
    from .gestures import gesture

    return gesture("warm_hands", f, s)


def breathe(f: Frame, s: State) -> list[Step]:
    """Shoulders and chest rise and sink."""
    made = []
    for _ in range(f.count(1 if "deep" in f.text else 2, 6)):
        made.append(
            step(
                1.4,
                "breathes in",
                "torso -8, head_look -6, B_collar 12, B_shoulder elev 18 plane 20",
                hold=0.3,
            )
        )
        made.append(
            step(1.5, "breathes out", "torso 4, head_look 4, B_collar 0, B_shoulder elev 8")
        )
    return [*made, Step(0.5, {"torso.flex": 0.0, "head_look.flex": 0.0}, "stands")]


def laugh(f: Frame, s: State) -> list[Step]:
    """Head back, hand on the belly, shoulders shaking."""
    hand = "A_shoulder elev 20 plane 9 axial 61, A_elbow 97"
    made = [step(0.6, "throws the head back", f"torso -12, head_look -22, {hand}")]
    for _ in range(f.count(4, 12)):
        made.append(step(0.18, "shakes with laughter", "B_collar 12, torso -4"))
        made.append(step(0.18, "shakes with laughter", "B_collar 0, torso 4"))
    back = release(s)
    back.dofs |= {"torso.flex": 0.0, "head_look.flex": 0.0}
    return [*made, back]


def stretch(f: Frame, s: State) -> list[Step]:
    """Both arms high, up on the toes, long; or to the side."""
    if f.direction() in ("side", "left", "right"):
        from .bending import side_bend

        return side_bend(f, s)
    up = step(
        1.2,
        "stretches up",
        BODY["overhead"] + ", torso -10, head_look -14, B_knee 4, B_hip 2, B_ankle 2",
        hold=f.seconds or 0.8,
    )
    out = step(
        1.0,
        "opens the arms",
        "B_shoulder elev 95 plane -10, B_elbow 6, B_collar 0, torso -6, head_look -6",
    )
    back = Step(
        0.8,
        arms_down()
        | rest_of(
            (
                "torso.flex",
                "head_look.flex",
                "L_knee.flex",
                "R_knee.flex",
                "L_hip.flex",
                "R_hip.flex",
                "L_ankle.dorsi",
                "R_ankle.dorsi",
            )
        ),
        "stands relaxed",
    )
    return [up, out, back] * f.count(1, 4)


def unsupported(f: Frame, s: State) -> list[Step]:
    """Acrobatics: nothing is played; the plan says so."""
    return []
