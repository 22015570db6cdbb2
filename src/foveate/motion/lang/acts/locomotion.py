"""Going places: gaits, single steps, turns, jumps, stairs. `Gait` and `fill` do the footwork."""

from __future__ import annotations

import math

from ..props import AWAY
from .common import (
    WORD,
    Frame,
    State,
    Step,
    arms_down,
    other,
    step,
)

STRIDE = {"walk": 0.48, "run": 0.6, "jog": 0.52, "march": 0.4, "tiptoe": 0.3, "sneak": 0.36,
          "limp": 0.32, "shuffle": 0.2, "stagger": 0.34, "skip": 0.45, "back-step": 0.3,
          "side-step": 0.3, "hop": 0.25, "stairs": 0.3, "turn": 0.0}  # fmt: skip
"""Metres per step, as in the gaits' own defaults."""
PACE = {"walk": 0.6, "run": 0.5, "jog": 0.52, "march": 0.92, "tiptoe": 0.7, "sneak": 0.95,
        "limp": 0.7, "shuffle": 0.55, "stagger": 0.65, "skip": 0.35, "back-step": 0.7,
        "side-step": 0.7, "hop": 0.4, "stairs": 1.1, "stones": 1.0, "turn": 0.64}  # fmt: skip
"""Seconds per step."""
STEPS = {"run": 12, "jog": 8, "shuffle": 6, "skip": 6, "stagger": 6, "side-step": 4, "back-step": 4}
ANGLES = {"forward": 0.0, "left": 90.0, "right": -90.0, "back": 180.0, "side": 90.0,
          "diagonal": 45.0, "away": 0.0}  # fmt: skip


def gait(f: Frame, s: State) -> list[Step]:
    """Steps on a line, an arc or a circle, to a thing or for a while."""
    kind = f.setting("kind", "walk")
    before = rise_first(f, s)
    target = next((w for k, w, p in f.objects if k in ("seat", "bed", "wall") and p), None)
    if target and target in s.scene:
        return [*before, *to_object(s, target, kind)]
    where = f.direction("forward", among=tuple(ANGLES))
    turn = 0.0
    if f.setting("path") == "circle" or "incircle" in f.flags or "circle" in f.text:
        turn = -360.0 if f.direction(among=("right",)) else 360.0
        turn *= f.turns or 1.0
    elif where in ("left", "right") and kind in ("walk", "run", "jog", "march"):
        # "walks to the left" is a curve for a walker who looks where he goes
        turn, where = (80.0 if where == "left" else -80.0), "forward"
    back = where == "back"
    if kind == "walk" and back:
        kind = "back-step"
    if kind == "walk" and where in ("left", "right", "side"):
        kind = "side-step"
    made = one_gait(f, s, kind, ANGLES[where] if kind not in ("back-step",) else 0.0, turn)
    if "sidetoside" in f.flags:  # back and forth
        around = Step(1.4, {}, "turns around", gait={"kind": "turn", "turn_deg": 180.0})
        made = [made, around, one_gait(f, s, kind, 0.0, 0.0)]
        return [*before, *made]
    return [*before, made]


def one_gait(f: Frame, s: State, kind: str, direction: float, turn: float) -> Step:
    """A single stretch of a gait."""
    stride = STRIDE[kind] * min(max(f.amount, 0.6), 1.3)
    steps = f.steps
    if steps is None and f.times and f.metres is None:
        steps = f.times
    metres = f.metres
    if metres is None and steps is None:
        steps = STEPS.get(kind, 5)
        if f.seconds:
            steps = max(2, round(f.seconds * f.speed / PACE[kind]))
        elif abs(turn) >= 300:
            steps = math.ceil(abs(turn) / 28.0)
            stride = min(stride, 0.42)
        elif any(p in ("to", "toward", "towards") for _, _, p in f.objects):
            metres = AWAY
    told: dict[str, object] = {"kind": kind}
    if metres is not None:
        metres = min(metres, 12.0)
        told["distance"] = round(metres, 3)
        steps = max(1, round(metres / stride))
    else:
        steps = min(int(steps or 4), 40)
        if f.steps or f.times:
            told["steps"] = steps
        else:
            told["distance"] = round(steps * stride, 3)
    if f.amount != 1.0:
        told["length"] = round(stride, 3)
    if direction:
        told["direction_deg"] = direction
    if turn:
        told["turn_deg"] = turn
    if "alternate" in f.flags or f.limb("knee"):
        told["knee_lift_deg"] = 60.0
    dt = 0.9 + (steps + 1) * PACE[kind]
    text = f"{WORDS.get(kind, kind + 's')}" + ("" if not turn else " in a curve")
    dofs = {} if s.held or s.carrying else arms_down()
    if not s.carrying:
        free = [x for x in "LR" if x not in s.held]
        dofs = arms_down(*free) if free else {}
        if kind in ("run", "jog"):  # who runs bends the arms
            dofs |= {f"{side}_elbow.flex": 80.0 for side in free}
    dofs |= {n: 0.0 for n in s.dofs if n.split(".")[0] == "torso"}
    return Step(dt, dofs, text, gait=told)


WORDS = {
    "walk": "walks",
    "run": "runs",
    "jog": "jogs",
    "march": "marches",
    "tiptoe": "walks on tiptoe",
    "sneak": "sneaks",
    "limp": "limps",
    "shuffle": "shuffles",
    "stagger": "staggers",
    "skip": "skips",
    "back-step": "walks backwards",
    "side-step": "steps sideways",
}


def rise_first(f: Frame, s: State) -> list[Step]:
    """Who sits or lies gets up before going anywhere."""
    if s.posture in ("stand", "squat"):
        if s.posture == "squat":
            from .posture import stand_up

            return stand_up(f, s)
        return []
    from .posture import stand_up

    return stand_up(f, s)


def to_object(s: State, name: str, kind: str = "walk") -> list[Step]:
    """Up to the front of a thing that stands in the scene."""
    item = s.scene[name]
    yaw = math.radians(item.yaw_deg)
    reach = item.size[0] / 2 + 0.3
    x = item.position[0] + reach * math.cos(yaw) - s.where[0]
    y = item.position[1] + reach * math.sin(yaw) - s.where[1]
    distance = math.hypot(x, y)
    turn = (math.degrees(math.atan2(y, x)) - s.where[2] + 180.0) % 360.0 - 180.0
    made = []
    if distance < 0.3:
        return made
    if abs(turn) > 20:
        made.append(
            Step(
                1.0 + abs(turn) / 90,
                {},
                f"turns to the {name}",
                gait={"kind": "turn", "turn_deg": round(turn, 1)},
            )
        )
        turn = 0.0
    kind = kind if kind in STRIDE else "walk"
    told = {"kind": kind, "distance": round(distance, 3)}
    if abs(turn) > 2:
        told["turn_deg"] = round(turn, 1)
    made.append(
        Step(
            0.9 + PACE[kind] * distance / STRIDE[kind],
            {} if s.held else arms_down(),
            f"{WORDS.get(kind, kind)} to the {name}",
            gait=told,
        )
    )
    return made


def crawl(f: Frame, s: State) -> list[Step]:
    """Down on hands and knees, and forward, arm and opposite knee together."""
    from .kneeling import kneel

    kneeling = Frame(sense=f.sense, verb="kneel", text="kneel both knees")
    made = kneel(kneeling, s) if s.posture != "crawl" else []
    s.posture = "crawl"
    knees = ["L_knee", "R_knee", "L_toes", "R_toes"]
    down = step(
        1.2,
        "goes down on hands and knees",
        "B_hip 88, B_knee 92, B_ankle -20, B_foot 40, torso 4, head_look -28, B_shoulder elev 90"
        " plane 88, B_elbow 4, B_wrist 0",
        steady=True,
    )
    down.root = {"pitch_deg": 84.0, "travel": (0.2, 0.0)}
    down.contacts = [*knees, "L_hand", "R_hand"]
    made.append(down)
    for n in range(min(f.steps or f.times or 4, 8)):
        side = "RL"[n % 2]
        lift = step(
            0.4,
            f"the {WORD[side]} hand and {WORD[other(side)]} knee leave the floor",
            "A_shoulder elev 108 plane 88, A_elbow 20, O_hip 96, O_knee 100",
            side,
            steady=True,
        )
        lift.contacts = [f"{side}_knee", f"{side}_toes", f"{other(side)}_hand"]
        lift.root = {"pitch_deg": 84.0, "travel": (0.07, 0.0)}
        put = step(
            0.4,
            "and reach forward",
            "A_shoulder elev 98 plane 88, A_elbow 4, O_hip 94, O_knee 90, O_shoulder elev 82 plane"
            " 88, A_hip 82, A_knee 94",
            side,
            steady=True,
        )
        put.contacts = [*knees, "L_hand", "R_hand"]
        put.root = {"pitch_deg": 84.0, "travel": (0.07, 0.0)}
        made += [lift, put]
    return made


def skate(f: Frame, s: State) -> list[Step]:
    """Long gliding steps with swinging arms, shown as a low walk."""
    glide = one_gait(f, s, "walk", 0.0, 0.0)
    assert glide.gait is not None
    glide.gait |= {
        "width": 0.32,
        "crouch": 0.08,
        "lean_deg": 18.0,
        "arm_swing": 2.0,
        "swing_s": 0.6,
    }
    return [*rise_first(f, s), glide]
