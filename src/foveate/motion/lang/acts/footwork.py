"""Single steps, turns, stairs, stones, marching on the spot."""

from __future__ import annotations

import math

from .common import (
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
    shift,
    step,
)
from .locomotion import ANGLES, PACE, WORDS, gait, one_gait, rise_first


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
