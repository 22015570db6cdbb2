"""Everyday actions: clothes, pockets, jars, shoes; looking under things; slow exercises.

The one thing to know: fingers do not move and things are not in the hands; the arms show what is
meant.
"""

from __future__ import annotations

from ..poses import touch
from .arms import stand_back
from .common import (
    FEET,
    Frame,
    State,
    Step,
    angles,
    arm_side,
    arms_down,
    one_arm,
    other,
    release,
    rest_of,
    shift,
    step,
)

HEADWEAR = ("hat", "cap", "helmet", "glasses", "mask", "crown", "scarf")


def take_off(f: Frame, s: State) -> list[Step]:
    """A hat with one hand and away; anything else with both hands, down and behind."""
    if any(word in f.text for word in HEADWEAR):
        side = one_arm(f)
        away = angles("A_shoulder elev 40 plane 20 axial -10, A_elbow 60", side)
        lift = angles("A_shoulder elev 140 plane 60, A_elbow 80, A_collar 18", side)
        return [
            Step(0.8, touch("head_top", side), "takes hold of it", hold=0.2),
            Step(0.4, lift, "lifts it off the head"),
            Step(0.7, away, "takes it away", hold=0.5),
            release(s, side),
        ]
    return [
        Step(0.8, touch("chest", "B"), "takes hold of it"),
        step(0.7, "opens it", "B_shoulder elev 55 plane 5 axial -30, B_elbow 95", hold=0.1),
        step(0.7, "lets it slip off", "B_shoulder elev 40 plane -55 axial 10, B_elbow 20, "
             "torso 10", hold=0.2),
        stand_back(s),
    ]  # fmt: skip


def blow_kiss(f: Frame, s: State) -> list[Step]:
    """A hand to the mouth (or the chin, for thanks in sign language), then out with open palm."""
    side = one_arm(f)
    start = "chin" if f.setting("kind") == "thanks" else "mouth"
    out = angles("A_shoulder elev 62 plane 82 axial -25, A_elbow 32 pron -70", side)
    made = [
        Step(0.7, touch(start, side), f"a hand at the {start}", hold=0.35),
        Step(0.5, out | {"head_look.flex": 6.0}, "and out to somebody", hold=0.7),
    ]
    back = release(s, side)
    back.dofs["head_look.flex"] = 0.0
    return [*made * f.count(1, 4), back]


def jar(f: Frame, s: State) -> list[Step]:
    """Both hands before the chest; one of them turns."""
    side = one_arm(f)
    made = [step(0.8, "holds it before the chest", "A_shoulder elev 30 plane 78 axial 40, "
                 "A_elbow 105 pron 40, O_shoulder elev 22 plane 70 axial 42, O_elbow 88, "
                 "head_look 16", side)]  # fmt: skip
    for _ in range(f.count(3, 8)):
        made.append(step(0.3, "turns the lid", "A_elbow 100 pron -50, A_wrist -20, torso rot 6",
                         side, hold=0.1))  # fmt: skip
        made.append(step(0.35, "takes a new grip", "A_elbow 106 pron 45, A_wrist 15, torso rot -3",
                         side))  # fmt: skip
    return [*made, stand_back(s)]


def pocket(f: Frame, s: State) -> list[Step]:
    """A hand (or both) into the pocket; hands that are put there stay."""
    thing = "it" in f.text.split() or bool(f.objects)
    side = one_arm(f) if thing else arm_side(f, "B")
    dofs = angles("A_shoulder elev 24 plane -30 axial 20, A_elbow 42 pron 20, A_collar 4", side)
    made = Step(0.8, dofs, "a hand in the pocket", hold=f.seconds or 0.8)
    if thing:
        s.held.discard(side)
        s.carrying = False
        return [made, release(s, side)]
    s.held |= set("LR" if side == "B" else side)
    return [made]


def umbrella(f: Frame, s: State) -> list[Step]:
    """Pushes it open and holds it up."""
    side = one_arm(f)
    s.held.add(side)
    low = "A_shoulder elev 30 plane 75 axial 20, A_elbow 95, O_shoulder elev 26 plane 72 axial 40,"
    return [
        step(0.7, "holds it with both hands", f"{low} O_elbow 100, head_look 10", side, hold=0.2),
        step(0.5, "pushes it open", f"{low} O_elbow 125, head_look -6", side, hold=0.2),
        Step(0.7, angles("A_shoulder elev 34 plane 70 axial 12, A_elbow 112", side)
             | arms_down(other(side)) | {"head_look.flex": 0.0}, "holds it up", hold=0.8),
    ]  # fmt: skip


def count_fingers(f: Frame, s: State) -> list[Step]:
    """One hand up, the other taps its fingers in turn."""
    side = one_arm(f)
    told = ("O_shoulder elev 30 plane 72 axial 20, O_elbow 112 pron -30, A_shoulder elev 36 "
            "plane 84 axial 50, A_elbow 95, head_look 18")  # fmt: skip
    made = [step(0.8, "holds up a hand", told, side)]
    for n in range(f.count(5, 10)):
        made.append(step(0.22, "counts", f"A_elbow {104 + 2 * n}, A_wrist 12", side))
        made.append(step(0.25, "counts", "A_elbow 92, A_wrist -8, head_look 14", side))
    return [*made, stand_back(s)]


def cross_legs(f: Frame, s: State) -> list[Step]:
    """One thigh over the other, on a seat."""
    from .posture import sit

    seat = any("sit" in entry.affordances for entry in s.scene.values())
    if s.posture == "stand" and not seat:
        apart = Step(0.5, {}, "shifts the weight to the right leg", support=["R_foot"])
        over = step(0.9, "puts the left foot across the right", "L_knee 24", steady=True,
                    hold=f.seconds or 1.0)  # fmt: skip
        over.contacts = ["R_foot", {"part": "L_foot", "step": [0.16, -0.26]}]
        return [apart, over]
    before = [] if s.posture == "sit" else sit(Frame(text="sit"), s)
    made = step(
        1.0, "crosses the legs",
        "R_hip 104 abd -22 rot 6, R_knee 84, R_ankle -10, L_hip 92 abd 2, torso -4",
        hold=f.seconds or 1.0, steady=True,
    )  # fmt: skip
    made.contacts = ["L_foot", {"part": "pelvis", "surface": s.seat or "chair"}]
    return [*before, made]


def look_under(f: Frame, s: State) -> list[Step]:
    """Down low with the head below the knees, a look to both sides, and up."""
    low = ("B_hip 112, B_knee 112, B_ankle 30, torso 62, head_look 4, A_shoulder elev 62 plane 86, "
           "A_elbow 10, O_shoulder elev 50 plane 80, O_elbow 40")  # fmt: skip
    made = [step(1.2, "crouches down to look", low, one_arm(f), hold=0.3, steady=True)]
    made.append(step(0.5, "looks to the left", "head_look rot 30 lat 12", hold=0.4))
    made.append(step(0.7, "looks to the right", "head_look rot -30 lat -12", hold=0.4))
    back = stand_back(s, 1.1)
    back.dofs |= {"head_look.lat": 0.0}
    back.free = False
    return [*made, back]


def tie_shoes(f: Frame, s: State) -> list[Step]:
    """Down on one knee, both hands at the shoe in front, and up again."""
    from .kneeling import kneel
    from .posture import stand_up

    made = []
    if s.posture != "half_kneel":
        made = kneel(Frame(verb="propose", text="one knee"), s)
        made[-1].hold = 0.2
    bend = step(0.9, "bends to the shoe", "B_shoulder elev 52 plane 88, B_elbow 8, torso 58, "
                "head_look 14", steady=True)  # fmt: skip
    made.append(bend)
    for n in range(f.count(3, 6)):
        told = "L_elbow 26, R_elbow 12" if n % 2 else "L_elbow 12, R_elbow 26"
        made.append(step(0.35, "ties the laces", told + ", B_wrist 20", steady=True))
        made.append(step(0.35, "pulls them tight", "B_elbow 20, B_wrist -10", steady=True))
    made.append(
        Step(0.9, {"torso.flex": 4.0, "head_look.flex": 0.0} | arms_down(), "straightens up",
             steady=True)
    )  # fmt: skip
    return [*made, *stand_up(Frame(text="stand up"), s)]


SLOW = (
    ("", "B_shoulder elev 88 plane 86, B_elbow 12, B_wrist 20, torso 0 rot 0", "arms rise"),
    ("", "B_shoulder elev 40 plane 84, B_elbow 60, B_wrist -30, B_knee 34, B_hip 26, B_ankle 13",
     "arms sink"),
    ("L", "A_shoulder elev 60 plane 70 axial 20, A_elbow 90, O_shoulder elev 84 plane 60, "
     "O_elbow 18, O_wrist -40, torso rot 24, head_look rot 16", "pushes to the left"),
    ("", "B_shoulder elev 50 plane 70 axial 30, B_elbow 85, B_wrist 0, torso rot 0, "
     "head_look rot 0", "gathers"),
    ("R", "O_shoulder elev 60 plane 70 axial 20, O_elbow 90, A_shoulder elev 84 plane 60, "
     "A_elbow 18, A_wrist -40, torso rot -24, head_look rot -16", "pushes to the right"),
    ("", "B_shoulder elev 30 plane 60 axial 20, B_elbow 60, B_wrist 0, torso rot 0, "
     "head_look rot 0", "and sinks"),
)  # fmt: skip
"""Foot that takes the weight, pose, text."""


def tai_chi(f: Frame, s: State) -> list[Step]:
    """Slow circles of the arms over bent knees; the weight goes from foot to foot."""
    made = []
    for _ in range(f.count(1, 4)):
        for side, told, text in SLOW:
            st = step(1.5, text, told, contacts=list(FEET))
            if side:
                st.support = shift(side).support
            made.append(st)
    home = rest_of([n for st in made for n in st.dofs]) | arms_down()
    return [*made, Step(1.4, home, "stands", contacts=list(FEET))]


def slip(f: Frame, s: State) -> list[Step]:
    """The balance is nearly lost: arms up, the trunk jerks back and forth."""
    return [
        step(0.25, "slips", "torso -16, head_look -10, B_shoulder elev 95 plane 10, B_elbow 25, "
             "B_knee 34, B_hip 10, B_ankle 14"),
        step(0.3, "flails", "torso 20 rot 10, B_hip 28, B_knee 36, B_ankle 12, A_shoulder elev 120 "
             "plane 30, A_elbow 30, O_shoulder elev 60 plane -20"),
        step(0.3, "flails", "torso -6 rot -8, B_hip 14, O_shoulder elev 110 plane 20, "
             "A_shoulder elev 55 plane -20"),
        stand_back(s, 0.8),
    ]  # fmt: skip


def get_hit(f: Frame, s: State) -> list[Step]:
    """A blow to the head, or anywhere else: the body gives way to it and comes back."""
    if f.limb("head", "face", "chin", "nose", "mouth"):
        blow = "head_look -24 rot 34, torso -10 rot 16, B_shoulder elev 35 plane 10, B_elbow 45"
    else:
        blow = ("torso 34, head_look 14, B_hip 46, B_knee 44, B_ankle 14, B_shoulder elev 34 "
                "plane 70 axial 50, B_elbow 95")  # fmt: skip
    made = [step(0.28, "is hit", blow, ease="decelerate", hold=0.5)]
    back = stand_back(s, 1.0)
    back.free = False
    return [*made * f.count(1, 4), back]


def hero_landing(f: Frame, s: State) -> list[Step]:
    """Low over bent legs with one fist at the floor, then the head comes up."""
    side = one_arm(f)
    low = step(
        0.5, "lands low with a fist to the floor",
        "B_hip 116, B_knee 116, B_ankle 30, torso 58, head_look 20, A_shoulder elev 58 plane 84, "
        "A_elbow 4, O_shoulder elev 75 plane -45, O_elbow 15",
        side, ease="decelerate", hold=0.7, steady=True,
    )  # fmt: skip
    up = step(0.5, "looks up", "head_look -30", hold=0.7, steady=True)
    back = stand_back(s, 1.1)
    back.free = False
    return [low, up, back]


def mime_wall(f: Frame, s: State) -> list[Step]:
    """Flat hands feel along a wall that is not there: in front, at the sides, above."""
    made = []
    for told in (
        "A_shoulder elev 78 plane 84 axial -10, A_elbow 48, A_wrist -50, "
        "O_shoulder elev 30 plane 60, O_elbow 100",
        "O_shoulder elev 82 plane 84 axial -10, O_elbow 48, O_wrist -50",
        "A_shoulder elev 92 plane 100, A_elbow 40",
        "O_shoulder elev 95 plane 20, O_elbow 42, torso rot 20, head_look rot 24",
        "A_shoulder elev 95 plane 20, A_elbow 42, torso rot -20, head_look rot -24",
        "B_shoulder elev 150 plane 70, B_elbow 30, B_wrist -50, torso rot 0, head_look rot 0 "
        "flex -16",
    ):
        made.append(step(0.55, "feels along a wall of glass", told, hold=0.3))
    return [*made, stand_back(s, 1.0)]
