"""Exercises: jumping jacks, push-ups, sit-ups and their like."""

from __future__ import annotations

from .common import (
    FEET,
    Frame,
    State,
    Step,
    angles,
    arms_down,
    rest_of,
    step,
)


def warm_up(f: Frame, s: State) -> list[Step]:
    """Arm circles, trunk twists, knees up."""
    from .bending import twist
    from .footwork import in_place
    from .gestures import gesture

    plain = Frame(sense=None, text="", seconds=None)
    knees = Frame(text="", seconds=2.4)
    return [*gesture("arm_circle", plain, s), *twist(plain, s), *in_place(knees, s)]


def jumping_jack(f: Frame, s: State) -> list[Step]:
    """Feet apart and arms up with a small jump, and back."""
    made = [step(0.4, "dips", "B_hip 48, B_knee 64, B_ankle 23, torso 8")]
    for _ in range(f.count(3, 12)):
        out = step(
            0.42,
            "jumps, arms up and feet apart",
            "B_hip 40 abd 22, B_knee 58, B_ankle 21, B_shoulder elev 160 plane 8, B_elbow 8,"
            " B_collar 20",
            ease="ballistic",
            steady=True,
        )
        out.contacts, out.root = list(FEET), {"height_mode": "ballistic", "height": 0.08}
        back = step(
            0.42,
            "jumps, feet together and arms down",
            "B_hip 46 abd 0, B_knee 64, B_ankle 23, B_shoulder elev 12, B_elbow 10, B_collar 0",
            ease="ballistic",
            steady=True,
        )
        back.contacts, back.root = list(FEET), {"height_mode": "ballistic", "height": 0.08}
        made += [out, back]
    return [
        *made,
        Step(
            0.6, arms_down() | rest_of([n for st in made for n in st.dofs]), "stands", steady=True
        ),
    ]


def skip_rope(f: Frame, s: State) -> list[Step]:
    """Small jumps, forearms out, wrists turning."""
    arms = "B_shoulder elev 28 plane -10 axial -40, B_elbow 70"
    made = [step(0.5, "holds a rope", f"{arms}, B_hip 46, B_knee 64, B_ankle 23")]
    for n in range(f.count(5, 15)):
        land = step(
            0.36,
            "hops over the rope",
            f"B_hip 46, B_knee 64, B_ankle 23, B_elbow {78 if n % 2 else 62}",
            ease="ballistic",
            steady=True,
        )
        land.contacts, land.root = list(FEET), {"height_mode": "ballistic", "height": 0.07}
        made.append(land)
    home = arms_down() | rest_of([n for st in made for n in st.dofs])
    return [*made, Step(0.6, home, "stands", steady=True)]


HANDS = ["L_hand", "R_hand"]


def plank(f: Frame, s: State) -> list[Step]:
    """Down over hands and knees into a straight line on hands and toes."""
    made = _down_on_hands(s)
    s.posture = "plank"
    made[-1].hold = f.seconds or 1.5
    return made


def pushup(f: Frame, s: State) -> list[Step]:
    """Plank, elbows bend and straighten."""
    made = _down_on_hands(s)
    s.posture = "plank"
    for _ in range(f.count(2, 8)):
        low = step(0.8, "lowers the chest", "B_shoulder elev 48 plane 20, B_elbow 92", steady=True)
        low.root = {"pitch_deg": 84.0}
        high = step(0.8, "pushes up", "B_shoulder elev 84 plane 80, B_elbow 6", steady=True)
        high.root = {"pitch_deg": 74.0}
        made += [low, high]
    return made


def _down_on_hands(s: State) -> list[Step]:
    from .locomotion import crawl

    made: list[Step] = []
    if s.posture not in ("crawl", "plank"):
        made = crawl(Frame(text="crawl", steps=1), s)[:-2]
        # far enough ahead for the body to be straight between them and the toes
        made[-1].dofs |= angles("B_shoulder elev 116 plane 88")
    line = step(
        1.0,
        "straightens into a plank",
        "B_hip 0, B_knee 4, B_ankle 10, B_foot 50, torso 0, head_look -10, B_shoulder elev 84 plane"
        " 80, B_elbow 6",
        steady=True,
    )
    line.root, line.contacts = {"pitch_deg": 74.0}, ["L_toes", "R_toes", *HANDS]
    return [*made, line]


def situp(f: Frame, s: State) -> list[Step]:
    """On the back with bent knees, up and down."""
    from .posture import lie

    made = lie(Frame(text="lie"), s) if s.posture != "lie" else []
    bent = step(
        0.9,
        "bends the knees",
        "B_hip 45, B_knee 90, B_ankle 0, B_shoulder elev 30 plane 85 axial 60, B_elbow 110",
        steady=True,
    )
    bent.root, bent.contacts = {"pitch_deg": -88.0}, ["pelvis", "back", *FEET]
    made.append(bent)
    for _ in range(f.count(2, 8)):
        up = step(0.9, "sits up", "B_hip 95, B_knee 90, torso 34, head_look 12", steady=True)
        up.root, up.contacts = {"pitch_deg": -30.0}, ["pelvis", *FEET]
        down = step(1.0, "lies back", "B_hip 45, B_knee 90, torso 0, head_look 0", steady=True)
        down.root, down.contacts = {"pitch_deg": -88.0}, ["pelvis", "back", *FEET]
        made += [up, down]
    s.posture = "lie"
    return made


def burpee(f: Frame, s: State) -> list[Step]:
    """Squat, hands down, plank, back, jump."""
    from .jumping import jump

    made = []
    for _ in range(f.count(1, 4)):
        low = step(
            0.9,
            "squats, hands to the floor",
            "B_hip 118, B_knee 120, B_ankle 34, torso 60, B_shoulder elev 70 plane 86, B_elbow 4",
            steady=True,
        )
        made.append(low)
        made += jump(Frame(text="jump", flags={"high"}), s)
    return made
