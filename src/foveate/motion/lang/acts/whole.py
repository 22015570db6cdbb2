"""The whole body: dancing, falling, exercises, moods. Dances are groove templates, no more."""

from __future__ import annotations

from ..poses import BODY
from .common import (
    FEET,
    Frame,
    State,
    Step,
    angles,
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
        from .posture import side_bend

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


def warm_up(f: Frame, s: State) -> list[Step]:
    """Arm circles, trunk twists, knees up."""
    from .gestures import gesture
    from .locomotion import in_place
    from .posture import twist

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
    from .locomotion import jump

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


def robot(f: Frame, s: State) -> list[Step]:
    """Right angles, stops between the moves; walks like that if the text says so."""
    if "walk" in f.text:
        from .locomotion import one_gait, rise_first

        stiff = angles("A_shoulder elev 4, A_elbow 90, O_shoulder elev 4, O_elbow 0")
        walk = one_gait(f, s, "walk", 0.0, 0.0)
        assert walk.gait is not None
        walk.gait |= {"arm_swing": 0.0, "swing_s": 0.5}
        walk.dofs, walk.text = stiff, "walks like a machine"
        return [*rise_first(f, s), Step(0.6, stiff, "lifts a forearm", ease="snap"), walk]
    made = []
    for lead in "RL" * f.count(1, 4):
        made.append(
            step(
                0.35,
                "moves like a machine",
                "A_shoulder elev 4, A_elbow 90, O_shoulder elev 4, O_elbow 0, torso rot 0",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
        made.append(
            step(
                0.35,
                "turns at a right angle",
                f"torso rot {24 if lead == 'L' else -24}, head_look rot"
                f" {30 if lead == 'L' else -30}",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
        made.append(
            step(
                0.35,
                "forearms change",
                "A_elbow 0, O_elbow 90, head_look rot 0",
                lead,
                hold=0.25,
                ease="snap",
            )
        )
    return [*made, Step(0.6, arms_down() | {"torso.rot": 0.0, "head_look.rot": 0.0}, "stands")]


def zombie(f: Frame, s: State) -> list[Step]:
    """Arms out in front, shuffling."""
    from .locomotion import one_gait, rise_first

    made = rise_first(f, s)
    arms = "B_shoulder elev 84 plane 82, B_elbow 6, B_wrist 25, torso 10, head_look lat 12 flex 6"
    walk = one_gait(f, s, "shuffle", 0.0, 0.0)
    walk.dofs = angles(arms)
    walk.text = "shuffles with the arms stretched out"
    s.held |= {"L", "R"}
    return [*made, step(0.9, "stretches out the arms", arms), walk]


def monkey(f: Frame, s: State) -> list[Step]:
    """Bent low with hanging arms, rolling from side to side."""
    from .locomotion import one_gait, rise_first

    low = "torso 42, B_shoulder elev 30 plane 50, B_elbow 20, B_collar 10, head_look -24"
    walk = one_gait(f, s, "stagger", 0.0, 0.0)
    assert walk.gait is not None
    walk.dofs, walk.text = angles(low), "walks like an ape"
    walk.gait |= {"crouch": 0.1, "lean_deg": 30.0, "arm_swing": 1.5, "width": 0.3}
    return [
        *rise_first(f, s),
        step(0.8, "bends low", low + ", B_hip 40, B_knee 50, B_ankle 18"),
        walk,
        Step(0.9, rest_of(angles(low)) | arms_down(), "stands upright", free=True),
    ]


def gymnast(f: Frame, s: State) -> list[Step]:
    """Feet together, arms high and open, chest out."""
    return [
        step(
            0.6,
            "strikes a pose",
            "B_shoulder elev 145 plane 15, B_elbow 4, B_collar 18, torso -8, head_look -10, B_knee"
            " 4, B_hip 2, B_ankle 2",
            hold=f.seconds or 1.2,
        ),
        Step(
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
            free=True,
        ),
    ]


def surf(f: Frame, s: State) -> list[Step]:
    """Low, sideways, arms out, swaying."""
    base = (
        "B_hip 48 abd 14, B_knee 58, B_ankle 18, torso 14 rot 20, B_shoulder elev 75 plane 5,"
        " B_elbow 12, head_look rot 30"
    )
    made = [step(0.8, "stands on a board", base)]
    for _ in range(f.count(3, 8)):
        made.append(step(0.6, "balances", "torso lat 12, B_shoulder elev 88 plane 5"))
        made.append(step(0.6, "balances", "torso lat -12, B_shoulder elev 62 plane 5"))
    return [*made, Step(0.8, arms_down() | rest_of([n for st in made for n in st.dofs]), "stands")]


def dig(f: Frame, s: State) -> list[Step]:
    """Down with the shovel, up and over to the side."""
    made = []
    for _ in range(f.count(2, 6)):
        made.append(
            step(
                0.8,
                "drives the shovel in",
                "torso 40 rot -10, B_hip 55, B_knee 50, B_ankle 16, A_shoulder elev 40 plane 95,"
                " A_elbow 30, O_shoulder elev 55 plane 90, O_elbow 10",
                hold=0.15,
            )
        )
        made.append(
            step(
                0.7,
                "throws it aside",
                "torso 12 rot 26, B_hip 20, B_knee 24, B_ankle 9, A_shoulder elev 50 plane 105,"
                " A_elbow 60, O_shoulder elev 60 plane 40, O_elbow 30",
            )
        )
    return [*made, Step(0.8, arms_down() | rest_of([n for st in made for n in st.dofs]), "stands")]


def put_on(f: Frame, s: State) -> list[Step]:
    """Both hands to the head (a hat), or along the body (a coat)."""
    from ..poses import touch

    head = any(w in f.text for w in ("hat", "cap", "helmet", "glasses", "mask"))
    made = [Step(0.8, touch("chest" if not head else "forehead", "B"), "takes hold")]
    made.append(
        Step(0.8, touch("head_top" if head else "shoulder", "B"), "puts it in place", hold=0.4)
    )
    return [*made, release(s)]


def dive(f: Frame, s: State) -> list[Step]:
    """Arms swing back, then overhead in a stretched pose on the toes; the flight itself is left
    out."""
    ready = step(
        0.8,
        "swings the arms back",
        "B_hip 70, B_knee 60, B_ankle 18, torso 40, B_shoulder elev 50 plane -60, head_look -20",
        hold=0.2,
    )
    reach = step(
        0.4,
        "swings them overhead",
        BODY["overhead"] + ", B_hip 9, B_knee 10, B_ankle 5, torso 8, head_look 8",
        hold=0.6,
    )
    return [ready, reach, release(s, "LR", 0.8)]


def unsupported(f: Frame, s: State) -> list[Step]:
    """Acrobatics: nothing is played; the plan says so."""
    return []
