"""Actions of the arms that need more than a row of `gestures`: pointing, throwing, reaching."""

from __future__ import annotations

from ..poses import BODY, pose
from .common import (
    WORD,
    Frame,
    State,
    Step,
    angles,
    arm_side,
    arms_down,
    one_arm,
    other,
    release,
    step,
)

POINTS = {
    "forward": "A_shoulder elev 90 plane 84, A_elbow 3",
    "up": "A_shoulder elev 150 plane 75, A_elbow 4, A_collar 18, head_look -22",
    "overhead": "A_shoulder elev 172 plane 60, A_elbow 4, A_collar 22, head_look -28",
    "down": "A_shoulder elev 42 plane 80, A_elbow 5, head_look 24, torso 6",
    "out": "A_shoulder elev 90 plane 5, A_elbow 3, A_collar 6",
    "side": "A_shoulder elev 90 plane 5, A_elbow 3, A_collar 6",
    "across": "A_shoulder elev 88 plane 122, A_elbow 12",
    "back": "A_shoulder elev 70 plane -45, A_elbow 5",
}
"""Direction → a straight arm that points there."""


def point(f: Frame, s: State) -> list[Step]:
    """A straight arm, and the eyes follow it."""
    where = f.direction("forward")
    if f.object("sky"):
        where = "up"
    if f.object("floor"):
        where = "down"
    side = one_arm(f, "L" if where == "left" else "R")
    turn = {"left": 1, "right": -1}.get(where, 0)
    key = where if where in POINTS else "forward"
    extra = {}
    if turn:
        same = (side == "L") == (turn > 0)
        key = "side" if same else "across"
        extra = {"torso.rot": turn * (6.0 if same else 22.0), "head_look.rot": turn * 55.0}
    elif key in ("side", "out"):
        extra = {"head_look.rot": 50.0 if side == "L" else -50.0}
    elif key == "back":
        extra = {"head_look.rot": 60.0 if side == "L" else -60.0,
                 "torso.rot": 25.0 if side == "L" else -25.0}  # fmt: skip
    made = Step(0.6, angles(POINTS[key], side) | extra, f"points {where} with the {WORD[side]} arm")
    made.hold = f.seconds or 0.9
    back = release(s, side)
    back.dofs |= {"head_look.rot": 0.0, "head_look.flex": 0.0, "torso.rot": 0.0, "torso.flex": 0.0}
    return [made, back]


def cheer(f: Frame, s: State) -> list[Step]:
    """Both fists go up, again and again."""
    high = "B_shoulder elev 152 plane 12, B_elbow 8, B_collar 22"  # a V: the hands stay apart
    made = [step(0.45, "throws the arms up", f"{high}, head_look -14")]
    for _ in range(f.count(2)):
        made.append(step(0.25, "pumps the fists", "B_shoulder elev 112 plane 12 axial -60, B_elbow "
                         "74"))  # fmt: skip
        made.append(step(0.25, "arms up", high))
    back = release(s, "LR", 0.7)
    back.dofs |= {"head_look.flex": 0.0}
    return [*made, back]


def cross_arms(f: Frame, s: State) -> list[Step]:
    """Arms folded in front of the chest, and kept there."""
    made = step(0.9, "folds the arms", BODY["arms_crossed"])
    made.hold = f.seconds or 0.8
    s.held |= {"L", "R"}
    return [made]


def hands_hips(f: Frame, s: State) -> list[Step]:
    """Hands on the hips, kept there."""
    side = arm_side(f, "B")
    text = BODY["hands_on_hips"].replace("B_", "A_")
    dofs = angles(text, side)
    s.held |= set("LR" if side == "B" else side)
    return [Step(0.8, dofs, "puts the hands on the hips", hold=f.seconds or 0.8)]


def surrender(f: Frame, s: State) -> list[Step]:
    """Both hands up beside the head."""
    s.held |= {"L", "R"}
    return [step(0.6, "holds both hands up", BODY["surrender"], hold=f.seconds or 1.0)]


RACK = "B_shoulder elev 50 plane 30 axial -35, B_elbow 140 pron 50, B_wrist -30"
"""Arms with a bar at the shoulders."""


def overhead_press(f: Frame, s: State) -> list[Step]:
    """From the shoulders to overhead; a bar comes up from the floor first."""
    made: list[Step] = []
    if f.setting("kind") == "jerk" or "barbell" in f.text:
        made = _clean(s)
    for _ in range(f.count(1 if made else 2, 6)):
        if f.setting("kind") == "jerk":
            made.append(step(0.35, "dips", f"B_hip 32, B_knee 44, B_ankle 15, torso 2, {RACK}"))
            dt, text = 0.4, "jerks it overhead"
        else:
            made.append(step(0.7, "the weight at the shoulders", "B_hip 16, B_knee 24, B_ankle 8, "
                             f"torso 0, head_look 0, {RACK}", hold=0.3))  # fmt: skip
            dt, text = 0.8, "presses it overhead"
        made.append(
            step(dt, text, "B_shoulder elev 166 plane 25, B_elbow 8 pron 0, B_wrist 0, "
                 "B_collar 22, B_hip 9, B_knee 14, B_ankle 5, torso -2", hold=1.0)
        )  # fmt: skip
    return [*made, release(s, "LR", 1.0)]


def _clean(s: State) -> list[Step]:
    """The bar from the floor to the shoulders: grip, pull, catch in a half squat, stand."""
    low = pose("squat") | angles("B_shoulder elev 40 plane 85, B_elbow 3, head_look -20, torso 40")
    pull = "B_hip 12, B_knee 14, B_ankle 2, torso -4, head_look -6, B_shoulder elev 40 plane 20 "
    return [
        Step(1.1, low, "grips the bar on the floor", hold=0.3, steady=True),
        step(0.6, "pulls it up along the body", pull + "axial 30, B_elbow 90, B_collar 24",
             steady=True),
        step(0.45, "catches it at the shoulders", "B_hip 62, B_knee 74, B_ankle 22, torso 10, "
             f"B_collar 0, {RACK}", hold=0.3, steady=True),
        step(0.9, "stands up with it", f"B_hip 9, B_knee 14, B_ankle 5, torso 0, head_look 0, "
             f"{RACK}", hold=0.4, steady=True),
    ]  # fmt: skip


def spread(f: Frame, s: State) -> list[Step]:
    """Arms out to the sides, kept there."""
    side = arm_side(f, "B")
    height = f.degrees if f.degrees is not None else (145.0 if "high" in f.flags else 90.0)
    dofs = angles(f"A_shoulder elev {min(height, 175.0)} plane 0, A_elbow 3, A_collar "
                  f"{8 if height <= 100 else 20}", side)  # fmt: skip
    s.held |= set("LR" if side == "B" else side)
    what = "both arms" if side == "B" else f"the {WORD[side]} arm"
    return [Step(0.8, dofs, f"holds {what} out to the side", hold=f.seconds or 0.6)]


def tpose(f: Frame, s: State) -> list[Step]:
    """Arms level, body straight."""
    s.held |= {"L", "R"}
    return [step(0.9, "stands in T-pose", BODY["tpose"], hold=f.seconds or 1.5)]


def push(f: Frame, s: State) -> list[Step]:
    """Both hands from the chest straight forward, the body behind them."""
    ready = ("B_shoulder elev 28 plane 15 axial 15, B_elbow 122 pron 70, B_wrist -32, torso 6, "
             "B_knee 26, B_hip 22, B_ankle 9")  # fmt: skip
    out = ("B_shoulder elev 84 plane 90, B_elbow 6 pron 40, B_wrist -35, torso 20, B_knee 30, "
           "B_hip 26, B_ankle 12")  # fmt: skip
    made = []
    for _ in range(f.count(1, 8)):
        made += [step(0.6, "hands at the chest", ready), step(0.5, "pushes", out, hold=0.4)]
    return [*made, stand_back(s)]


def stand_back(s: State, dt: float = 0.8) -> Step:
    from .common import rest_of

    names = {"torso.flex", "torso.rot", "torso.lat", "head_look.flex", "head_look.rot"}
    legs = {f"{side}_{j}" for side in "LR" for j in ("knee.flex", "hip.flex", "ankle.dorsi")}
    back = rest_of(names) | {n: s.base(n) for n in legs}
    return Step(dt, arms_down() | back, "stands relaxed", free=True)


def pull(f: Frame, s: State) -> list[Step]:
    """The hands grip in front and come to the hips; a door is drawn with one hand."""
    if f.setting("kind") == "door":
        side = one_arm(f)
        grip = "A_shoulder elev 48 plane 84, A_elbow 22"
        near = "A_shoulder elev 30 plane -20 axial 20, A_elbow 95, torso rot {}"
        turn = -14 if side == "R" else 14
        near = near.format(turn)
        order = [near, grip] if "close" in f.text or "shut" in f.text else [grip, near]
        made = [step(0.7, "moves the door", part, side, hold=0.2) for part in order]
        back = release(s, side)
        back.dofs["torso.rot"] = 0.0
        return [*made, back]
    grip = "B_shoulder elev 66 plane 84, B_elbow 14, torso 16, B_knee 26, B_hip 22, B_ankle 9"
    near = ("B_shoulder elev 32 plane -40 axial 15, B_elbow 108, torso -6, B_knee 38, B_hip 26, "
            "B_ankle 14")  # fmt: skip
    made = []
    for _ in range(f.count(2, 8)):
        made += [step(0.6, "grips in front", grip), step(0.7, "pulls", near, hold=0.15)]
    return [*made, stand_back(s)]


def alternate(f: Frame, s: State) -> list[Step]:
    """One arm after the other goes up and comes down."""
    up = BODY["overhead"].replace("B_", "A_")
    made = []
    for n in range(f.count(2) * 2):
        side = "RL"[n % 2]
        text = f"raises the {WORD[side]} arm"
        made.append(Step(0.6, angles(up, side) | arms_down(other(side)), text))
    return [*made, release(s)]
