"""Going places: gaits, single steps, turns, jumps, stairs. `Gait` and `fill` do the footwork."""

from __future__ import annotations

import math

from ..props import AWAY
from ..score import ARM_JOINTS
from .common import (
    FEET,
    WORD,
    Frame,
    State,
    Step,
    angles,
    arms_down,
    leg_side,
    on_both,
    on_one,
    other,
    rest_of,
    shift,
    step,
)

STRIDE = {"walk": 0.48, "run": 0.75, "jog": 0.55, "march": 0.4, "tiptoe": 0.3, "sneak": 0.36,
          "limp": 0.32, "shuffle": 0.2, "stagger": 0.34, "skip": 0.45, "back-step": 0.3,
          "side-step": 0.3, "hop": 0.25, "stairs": 0.3, "turn": 0.0}  # fmt: skip
"""Metres per step, as in the gaits' own defaults."""
PACE = {"walk": 0.6, "run": 0.3, "jog": 0.33, "march": 0.92, "tiptoe": 0.7, "sneak": 0.95,
        "limp": 0.7, "shuffle": 0.55, "stagger": 0.65, "skip": 0.35, "back-step": 0.7,
        "side-step": 0.7, "hop": 0.4, "stairs": 1.1, "stones": 1.0, "turn": 0.64}  # fmt: skip
"""Seconds per step."""
STEPS = {"run": 8, "jog": 8, "shuffle": 6, "skip": 6, "stagger": 6, "side-step": 4, "back-step": 4}
ANGLES = {"forward": 0.0, "left": 90.0, "right": -90.0, "back": 180.0, "side": 90.0,
          "diagonal": 45.0, "away": 0.0}  # fmt: skip


def gait(f: Frame, s: State) -> list[Step]:
    """Steps on a line, an arc or a circle, to a thing or for a while."""
    kind = f.setting("kind", "walk")
    before = rise_first(f, s)
    target = next((w for k, w, p in f.objects if k in ("seat", "bed") and p), None)
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


def steps(f: Frame, s: State) -> list[Step]:
    """One step, or as many as the text says, in any direction."""
    where = f.direction("forward", among=tuple(ANGLES))
    count = f.steps or f.times or 1
    if count > 1 or f.metres:
        kind = {"left": "side-step", "right": "side-step", "side": "side-step", "back": "back-step"}
        f.steps = None if f.metres else count
        name = kind.get(where, "walk")
        direction = ANGLES[where] if name == "side-step" else 0.0
        return [*rise_first(f, s), one_gait(f, s, name, direction, 0.0)]
    side = leg_side(f, "R")
    if where in ("left", "right"):
        side = where[0].upper()
    length = 0.42 * min(max(f.amount, 0.5), 1.6)
    ahead, left = {
        "back": (-0.8 * length, 0.0),
        "left": (0.0, 0.8 * length),
        "right": (0.0, -0.8 * length),
        "side": (0.0, (0.8 if side == "L" else -0.8) * length),
    }.get(where, (length, 0.0))
    first = Step(0.7, {}, f"steps {where} with the {WORD[side]} foot")
    first.contacts = [{"part": f"{side}_foot", "step": (ahead, left)}, f"{other(side)}_foot"]
    second = Step(0.8, {}, f"the {WORD[other(side)]} foot joins")
    second.contacts = [f"{side}_foot", {"part": f"{other(side)}_foot", "step": (ahead, left)}]
    return [*rise_first(f, s), first, second]


def step_over(f: Frame, s: State) -> list[Step]:
    """One long step with high knees over a thing."""
    side = leg_side(f)
    made = []
    for n, leg in enumerate((side, other(side))):
        made.append(shift(other(leg), 0.5))
        made.append(
            on_one(other(leg), step(0.6, "lifts the knee high", "A_hip 75, A_knee 95", leg))
        )
        down = step(
            0.6,
            "steps over" if n == 0 else "the other leg follows",
            "A_hip 9, A_knee 14, A_ankle 5",
            leg,
            steady=True,
        )
        down.contacts = [{"part": f"{leg}_foot", "step": (0.5, 0.0)}, f"{other(leg)}_foot"]
        made.append(down)
    return [*rise_first(f, s), *made]


def turn(f: Frame, s: State) -> list[Step]:
    """On the spot, in small steps; the default is a quarter turn, `around` half of one."""
    around = "around" in f.directions or "back" in f.directions or "away" in f.text
    degrees = f.degrees or (abs(f.turns) * 360.0 if f.turns else None)
    if degrees is None and f.turns is None and ("half" in f.text or "about" in f.text):
        degrees = 180.0
    if degrees is None and "quarter" in f.text:
        degrees = 90.0
    if degrees is None and ("full" in f.text or "incircle" in f.flags or "complete" in f.text):
        degrees = 360.0
    degrees = degrees or (180.0 if around else 90.0)
    sign = -1.0 if f.direction(among=("right", "left")) == "right" else 1.0
    degrees = min(degrees, 720.0) * sign
    count = math.ceil(abs(degrees) / 35.0)
    told = {"kind": "turn", "turn_deg": degrees, "distance": 0.0}
    dofs = {} if s.held else arms_down()
    text = f"turns {'right' if sign < 0 else 'left'} by {abs(degrees):.0f}°"
    return [*rise_first(f, s), Step(0.9 + count * PACE["turn"], dofs, text, gait=told)]


def spin(f: Frame, s: State) -> list[Step]:
    """A whole turn (or several) with the arms out."""
    f.degrees = f.degrees or 360.0 * (f.turns or 1.0) * f.count(1, 3)
    made = turn(f, s)
    if not s.held:
        made[-1].dofs |= angles("B_shoulder elev 60 plane 10, B_elbow 20")
        made.append(Step(0.6, arms_down(), "lets the arms down", free=True))
    made[-1 if s.held else -2].text = "spins"
    return made


def in_place(f: Frame, s: State) -> list[Step]:
    """Marching, walking or running on the spot: a gait that goes nowhere."""
    kind = f.setting("kind", "march")
    name, knee = {"march": ("march", 78.0), "run": ("jog", 40.0), "walk": ("walk", 40.0)}[kind]
    count = f.count(4, 12) * 2 if f.times else f.steps or 8
    if f.seconds:
        count = max(2, min(60, round(f.seconds / PACE[name])))
    told = {"kind": name, "steps": min(count, 60), "length": 0.0, "knee_lift_deg": knee}
    dofs = {} if s.held else arms_down()
    text = f"{WORDS[name]} on the spot"
    return [*rise_first(f, s), Step(0.9 + (count + 1) * PACE[name], dofs, text, gait=told)]


def butt_kick(f: Frame, s: State) -> list[Step]:
    """Heel to seat, in turn."""
    dt = 0.4
    beats = f.count(3, 10) * 2 if f.times else 6
    if f.seconds:
        beats = max(2, min(40, round(f.seconds / (2 * dt))))
    made: list[Step] = rise_first(f, s)
    for n in range(beats):
        leg = "RL"[n % 2]
        told = "A_hip 12, A_knee 115, A_ankle 0, O_hip 9, O_knee 14, O_ankle 5"
        if not s.held:
            told += (
                ", O_shoulder elev 38 plane 82, O_elbow 75, A_shoulder elev 28 plane -60,"
                " A_elbow 75"
            )
        lifted = on_one(other(leg), step(dt, f"kicks back with the {WORD[leg]} heel", told, leg))
        down = step(dt, "foot down", "B_hip 9, B_knee 14, B_ankle 5", leg, steady=True)
        made += [lifted, on_both(down)]
    if not s.held:
        made.append(Step(0.6, arms_down(), "stands", free=True))
    return made


def jump(f: Frame, s: State) -> list[Step]:
    """Crouch, fly, land softly, stand; arms help."""
    where = f.direction("up", among=("forward", "back", "left", "right", "side"))
    far = min(f.metres or 0.5 * f.amount, 1.0)
    height = 0.24 if f.setting("height") or "high" in f.flags else 0.16
    if f.amount < 0.8:
        height = 0.1
    ahead, left = {
        "forward": (far, 0.0),
        "back": (-0.6 * far, 0.0),
        "left": (0.0, 0.6 * far),
        "right": (0.0, -0.6 * far),
        "side": (0.0, 0.6 * far),
    }.get(where, (0.0, 0.0))
    turn_deg = float(f.setting("turn", "0"))
    if turn_deg and f.degrees:
        turn_deg = f.degrees
    if f.direction(among=("right",)) and turn_deg:
        turn_deg, left = -turn_deg, 0.0
    made = rise_first(f, s)
    swing = "" if s.held else ", B_shoulder elev 42 plane -60, B_elbow 20"
    low = f"B_hip 66, B_knee 76, B_ankle 24, torso 22{swing}"
    made.append(step(0.55, "crouches to jump", low, hold=0.1, steady=True))
    count = f.count(1, 8)
    text = "jumps" + ("" if where == "up" else f" {where}")
    for n in range(count):
        # between two jumps the landing is the next crouch already
        arms = "" if s.held else ", B_shoulder elev 50 plane 84, B_elbow 30"
        soft = low if n < count - 1 else f"B_hip 40, B_knee 50, B_ankle 17, torso 12{arms}"
        land = step(0.5, text, soft, steady=True, ease="ballistic")
        land.contacts = list(FEET)
        land.root = {
            "height_mode": "ballistic", "height": height, "spin_deg": turn_deg,
            "travel": (round(ahead, 3), round(left, 3)),
        }  # fmt: skip
        made.append(land)
    home = rest_of(n for st in made for n in st.dofs if not n[2:].startswith(ARM_JOINTS))
    made.append(Step(0.6, home | ({} if s.held else arms_down()), "stands up", steady=True))
    return made


def hop(f: Frame, s: State) -> list[Step]:
    """Small jumps on one leg (or on both, like a rabbit)."""
    limb = f.limb("leg", "foot")
    if limb is None or limb.side == "B":
        f.amount = min(f.amount, 0.75)
        return jump(f, s)
    side = leg_side(f)
    made = [
        shift(side, 0.5),
        on_one(
            side,
            step(
                0.5,
                f"stands on the {WORD[side]} leg",
                "O_hip 30, O_knee 75, A_hip 30, A_knee 40, A_ankle 15, B_shoulder elev 40 plane 5",
                side,
            ),
        ),
    ]
    forward = 0.2 if f.direction() == "forward" else 0.0
    for _ in range(f.count(3, 8)):
        low = "A_hip 38, A_knee 50, A_ankle 18"
        land = on_one(side, step(0.4, "hops", low, side, ease="ballistic"))
        land.root = {"height_mode": "ballistic", "height": 0.08, "travel": (forward, 0.0)}
        made.append(land)
    from .legs import stand_on_both

    return [*made, stand_on_both(s)]


def stairs(f: Frame, s: State) -> list[Step]:
    """Up or down the steps of the scene, one foot each."""
    names = [n for n in s.scene if n.startswith("step")]
    up = f.setting("direction") == "up"
    names = sorted(names)
    if not names:
        f.amount = 0.8
        return [*rise_first(f, s), one_gait(f, s, "march", 0.0, 0.0)]
    told = {"kind": "stairs", "onto": names}
    dt = 0.9 + (len(names) + 1) * PACE["stairs"]
    made = [Step(dt, {}, "climbs the stairs" if up else "goes down the stairs", gait=told)]
    if not up:
        made.append(Step(1.8, {}, "steps onto the floor", gait={"kind": "stairs", "distance": 0.3}))
    return [*rise_first(f, s), *made]


def stones(f: Frame, s: State) -> list[Step]:
    """From stone to stone."""
    names = sorted((n for n in s.scene if n.startswith("stone")), key=lambda n: int(n[5:] or 0))[1:]
    if not names:
        return gait(f, s)
    told = {"kind": "stones", "onto": names}
    return [Step(0.9 + (len(names) + 1) * PACE["stones"], {}, "walks across the stones", gait=told)]


def crawl(f: Frame, s: State) -> list[Step]:
    """Down on hands and knees, and forward, arm and opposite knee together."""
    from .posture import kneel

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
    down.root = {"pitch_deg": 84.0}
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


__all__ = [
    "crawl", "gait", "hop", "in_place", "jump", "skate", "spin", "stairs", "step_over", "steps",
    "stones", "to_object", "turn",
]  # fmt: skip
