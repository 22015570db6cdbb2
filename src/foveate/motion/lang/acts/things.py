"""Things in the hands: catching, picking up, putting down, carrying."""

from __future__ import annotations

from ..poses import BODY
from ..props import TABLES
from .arms import stand_back
from .common import (
    Frame,
    State,
    Step,
    angles,
    arm_side,
    step,
)
from .reaching import after, go_near, hand_to, place_of


def catch(f: Frame, s: State) -> list[Step]:
    """Hands go out with the eyes, close, and draw in."""
    high = f.direction() in ("up", "overhead")
    out = ("B_shoulder elev 140 plane 75, B_elbow 25, B_collar 16, head_look -20" if high else
           "B_shoulder elev 58 plane 82 axial 10, B_elbow 38, head_look 4, B_knee 24, B_hip 18, "
           "B_ankle 8")  # fmt: skip
    made = [
        step(0.5, "reaches out to catch", out, hold=0.2),
        step(0.3, "draws it in", "B_shoulder elev 26 plane 70 axial 30, B_elbow 105, torso 8, "
             "head_look 6", ease="decelerate", hold=0.5),
    ]  # fmt: skip
    return [*made, stand_back(s)]


def pick_up(f: Frame, s: State) -> list[Step]:
    """Squat and bend to the floor, grip, rise with it; it stays in the hands."""
    side = arm_side(f, "B")
    thing = f.object("box", "ball", "weight", "drink", "food")
    word = f"the {thing[1]}" if thing else "it"
    table = _table(f, s)
    if table:
        return _from_table(f, s, table, word)
    reach = "A_shoulder elev 62 plane 86, A_elbow 6"
    low = angles("B_hip 100, B_knee 92, B_ankle 24, torso 50, head_look -12") | angles(reach, side)
    down = Step(1.1, low, f"bends down to {word}", hold=0.35, steady=True)
    hold = "A_shoulder elev 12 plane 60 axial 12, A_elbow 82" if side == "B" else (
        "A_shoulder elev 14 plane 60, A_elbow 75")  # fmt: skip
    rise = Step(1.1, angles("B_hip 9, B_knee 14, B_ankle 5, torso -3, head_look 0")
                | angles(hold, side), f"lifts {word}", hold=0.3, steady=True)  # fmt: skip
    made = []
    for n in range(f.count(1, 5)):
        if n:
            made.append(Step(1.0, low, "puts it down again", hold=0.2, steady=True))
        made += [down, rise] if not n else [rise]
    if f.direction() == "overhead":
        made.append(Step(0.9, angles(BODY["overhead"]), f"lifts {word} overhead", hold=0.5))
    s.carrying = True
    s.held |= set("LR" if side == "B" else side)
    return made


def _table(f: Frame, s: State) -> str:
    """The table that the text names or that stands right ahead, or an empty name."""
    words = [word for kind, word, _ in f.objects if kind == "wall"]
    tables = [n for n in s.scene if n in TABLES]
    if words or f.object("floor"):
        return next((n for n in tables if n in words), "")
    # who has walked up to a table takes things from it
    return next((n for n in tables if 0.0 < place_of(s.scene[n], s)[0] < 0.9), "")


def _from_table(f: Frame, s: State, table: str, word: str) -> list[Step]:
    """Hands to the table, and back with the thing."""
    small = f.object("box", "weight") is None
    side = arm_side(f, "R" if small else "B")
    before = go_near(s, table)
    there = hand_to(after(s, before), table, side, f"takes {word} from the {table}")
    there.hold = 0.35
    told = "A_shoulder elev 16 plane 66 axial 12, A_elbow 84"
    rise = Step(0.9, {n: s.base(n) for n in there.dofs} | angles(told, side), f"lifts {word}",
                hold=0.3, steady=True)  # fmt: skip
    s.carrying = True
    s.held |= set("LR" if side == "B" else side)
    return [*before, there, rise]


def put_down(f: Frame, s: State) -> list[Step]:
    """Down to the floor (or a table), let go, up with empty hands."""
    side = arm_side(f, "B")
    table = f.object("wall")
    made = []
    stands = _table(f, s)
    if stands:
        before = go_near(s, stands)
        there = hand_to(after(s, before), stands, side, f"puts it on the {stands}")
        there.hold = 0.3
        s.carrying = False
        s.held.clear()
        return [*before, there, stand_back(s, 1.0)]
    if not s.carrying:
        made.append(step(0.5, "holds a thing", "A_shoulder elev 12 plane 60 axial 12, A_elbow 82",
                         side))  # fmt: skip
    if table:
        made.append(
            step(
                0.8,
                f"puts it on the {table[1]}",
                "A_shoulder elev 42 plane 84, A_elbow 38, torso 18, head_look 14",
                side,
                hold=0.3,
            )
        )
    else:
        low = angles("B_hip 100, B_knee 92, B_ankle 24, torso 50, head_look -12") | angles(
            "A_shoulder elev 62 plane 86, A_elbow 6", side
        )
        made.append(Step(1.1, low, "puts it down", hold=0.3, steady=True))
    s.carrying = False
    s.held.clear()
    back = stand_back(s, 1.0)
    back.dofs |= angles("B_hip 9, B_knee 14, B_ankle 5")
    back.free = False
    return [*made, back]


def carry(f: Frame, s: State) -> list[Step]:
    """Both forearms level in front."""
    s.carrying = True
    s.held |= {"L", "R"}
    if f.joined_by == "with" and f.relation == "while":
        seconds = 0.4
    else:
        seconds = f.seconds or 0.6
    made = step(0.8, "holds a thing in front", "B_shoulder elev 12 plane 60 axial 12, B_elbow 82, "
                "torso -3", hold=seconds)  # fmt: skip
    if f.joined_by == "" and f.relation == "then" and (f.metres or f.steps or f.directions):
        from .locomotion import gait

        return [made, *gait(f, s)]
    return [made]
