"""Composing: frames in order of time become one plan.

The one thing to know: actions follow each other from the pose the one before left; a step marked
`free` (arms coming down) is folded into the next action when that moves the same joints. What goes
on at the same time becomes layer keys over the action that carries the body.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..body import DOFS
from ..plan import Coverage, KeyframePlan, StyleSpec
from ..scene import Scene
from .acts import perform
from .frames import Frame
from .props import bed_behind, place, seat_behind
from .score import ARM_JOINTS, STANCE, State, Step, angles
from .understanding import Reading
from .writing import keys_of, moved, scene_of, style_of

EXACT = {
    "touch_", "touch", "drink", "eat", "phone", "think", "scratch", "wipe", "text_phone", "clap",
    "pray", "salute", "hands_hips", "cross_arms", "gait", "turn", "sit", "lie", "kneel", "jump",
    "crawl", "stairs", "stones", "pushup", "plank", "situp", "heel_raise", "surrender", "steps",
}  # fmt: skip
"""Primitives that `slightly` and `deeply` do not scale; they end at a place, or scale
themselves."""
SWING = {"walk": (0.46, 0.14), "jog": (0.36, -0.06), "run": (0.36, -0.1), "march": (0.62, 0.3),
         "tiptoe": (0.5, 0.2), "sneak": (0.65, 0.3), "limp": (0.45, 0.25), "turn": (0.42, 0.22),
         "side-step": (0.45, 0.25), "back-step": (0.45, 0.25), "shuffle": (0.35, 0.2),
         "stagger": (0.45, 0.2), "stairs": (0.7, 0.4), "stones": (0.6, 0.4)}  # fmt: skip
"""Seconds in the air and on both feet, per gait; what `slowly` divides."""
LEG_ACTIONS = {
    "kick", "lift_leg", "knee_lift", "one_leg", "yoga", "stomp", "swing_leg", "heel_raise", "squat",
    "bend_knees", "gait", "steps", "turn", "spin", "in_place", "jump", "hop", "stairs", "stones",
    "crawl", "skate", "sit", "sit_floor", "stand_up", "crouch", "kneel", "lunge", "lie", "bow",
    "bend", "lean", "fall", "jumping_jack", "skip_rope", "pushup", "plank", "situp", "burpee",
    "dance", "hip_sway", "zombie", "monkey", "animal", "tie_shoes", "look_under", "tai_chi", "slip",
    "cross_legs", "hero_landing", "step_over", "weight_shift", "stand", "touch_toes",
}  # fmt: skip
"""Primitives that carry the body; in `A while B` one of these is the ground the other plays on."""
POSTURES = {"sit", "sit_floor", "lie", "kneel", "crouch", "stand_up", "fall"}
"""Primitives that change the posture, and so come before what goes on with them."""
RANGES = {f"{d.name}": (d.low, d.high) for d in DOFS} | {
    "torso.flex": (-42.0, 100.0), "torso.lat": (-57.0, 57.0), "torso.rot": (-57.0, 57.0),
    "head_look.flex": (-55.0, 55.0), "head_look.lat": (-33.0, 33.0), "head_look.rot": (-66.0, 66.0),
}  # fmt: skip


class _Score:
    """Collects timed steps."""

    def __init__(self, scene: Scene | None) -> None:
        self.given = scene
        self.state = State(scene={o.name: o for o in scene.objects} if scene else {})
        self.objects: list[Any] = []
        self.rows: list[tuple[float, Step, bool]] = []  # start of the pose, step, layer
        self.now = 0.0
        self.pending: Step | None = None  # a free step that has not been played

    def play(self, step: Step) -> None:
        """Append one step and move the state along."""
        self.now += max(0.08, step.dt)
        self.rows.append((self.now, step, False))
        self.now += step.hold
        self.state.dofs |= step.dofs
        self.state.where = moved(self.state.where, step)

    def settle(self, following: list[Step] | None, keep: bool) -> None:
        """Play, fold into what follows, or drop the free step of the action before."""
        free, self.pending = self.pending, None
        if keep and following:  # a hand that holds stays where it was told to be
            following[0].goals = list(self.rows[-1][1].goals)
        if free is None or keep:
            return
        if following:
            first = following[0]
            arms = {n.split(".")[0] for n in free.dofs}
            touched = {n.split(".")[0] for st in following[:2] for n in st.dofs}
            if first.gait is not None or (first.dt >= 0.5 and arms & touched):
                first.dofs = free.dofs | first.dofs
                return
        self.play(free)


def compose(
    reading: Reading,
    text: str,
    *,
    scene: Scene | None = None,
    style: StyleSpec | None = None,
    seed: int = 0,
) -> KeyframePlan:
    """The plan of a reading.

    Args:
        reading: What was understood.
        text: As the user typed it.
        scene: Where it happens; None puts up what the text needs.
        style: Goes before styles found in the text.
        seed: Recorded in the plan.
    """
    score = _Score(scene)
    frames = reading.frames
    score.rows.append((0.0, _start(score, frames[0]), False))
    index = 0
    while index < len(frames):
        end = index + 1
        while end < len(frames) and frames[end].relation == "while":
            end += 1
        index = _group(score, frames, index, end)
    score.settle(None, keep=False)
    rows = _with_end(score)
    notes = [*reading.notes]
    if reading.unread:
        notes.append("not understood: " + "; ".join(reading.unread))
    named = style_of(frames, notes)
    senses = list(dict.fromkeys(f.sense.name for f in frames if f.sense))
    data: dict[str, Any] = {
        "text": text.strip(),
        "source": "offline",
        "seed": seed,
        "keys": keys_of(rows),
        "notes": notes,
        "coverage": Coverage(
            matched=reading.matched,
            unmatched=reading.unmatched,
            senses=senses,
            confidence=reading.confidence,
        ).model_dump(),
    }
    chosen = style or named
    if chosen is not None:
        data["style"] = chosen.model_dump(exclude_defaults=True)
    full = scene_of(scene, score.objects)
    if full is not None:
        data["scene"] = full.to_json()
    return KeyframePlan.from_json(data)


def _start(score: _Score, first: Frame) -> Step:
    """The pose the motion begins with: standing, or seated when the first thing is to get up."""
    if first.sense is None or first.sense.name != "stand_up" or "floor" in first.text:
        return Step(0.0, {}, "stands relaxed")
    seat = next((o for o in score.state.scene.values() if "sit" in o.affordances), None)
    if seat is None:
        bed = any(kind == "bed" for kind, _, _ in first.objects) or "wake" in first.text
        seat = (bed_behind if bed else seat_behind)(score.state.where)
        score.objects.append(seat)
        score.state.scene[seat.name] = seat
    dofs = angles(
        "B_hip 92, B_knee 90, B_ankle 2, torso 0, B_shoulder elev 22 plane 80, B_elbow 42"
    )
    score.state.posture, score.state.seat = "sit", seat.name
    score.state.dofs |= dofs
    contacts = ["L_foot", "R_foot", {"part": "pelvis", "surface": seat.name}]
    return Step(0.0, dofs, "sits", hold=0.4, contacts=contacts)


def _group(score: _Score, frames: list[Frame], start: int, end: int) -> int:
    """One action, or several that go on together; returns the index after them."""
    group = frames[start:end]
    posture = next((f for f in group if f.sense and f.sense.primitive in POSTURES), None)
    if posture is not None and len(group) > 1:
        # "types while sitting" sits down first; nothing can be laid over a change of posture
        frames[start:end] = [posture, *(f for f in group if f is not posture)]
        frames[start].relation = "then"
        end, group = start + 1, [posture]
        if start + 1 < len(frames):
            frames[start + 1].relation = "then"
    for i in range(start, end):
        for item in place(frames, i, score.state.where, score.state.scene, score.given):
            score.objects.append(item)
            score.state.scene[item.name] = item
    carrier = next(
        (
            f
            for f in group
            if f.sense and f.sense.primitive in LEG_ACTIONS and f.sense.primitive != "stand"
        ),
        group[0],
    )
    others = [f for f in group if f is not carrier]
    trial = _act(carrier, score.state.copy())
    length = sum(st.lasts() for st in trial if not st.free)
    overlays: list[list[Step]] = []
    statics: dict[str, float] = {}
    before = set(score.state.held)
    for frame in others:
        if frame.seconds is None and frame.times is None:
            frame.seconds = max(1.0, round(length - 1.0, 2)) if length > 2.0 else None
        steps = [st for st in _act(frame, score.state) if not st.free]
        for st in steps:
            st.contacts = st.support = st.gait = None
            st.root = {}
        beats = [st for st in steps if st.dofs]
        if len(beats) <= 1:
            for st in beats:
                statics |= st.dofs
                score.state.dofs |= st.dofs
        else:
            overlays.append(steps)
    steps = _act(carrier, score.state)
    owned = {n.split(".")[0] for n in statics}
    for st in steps:
        st.dofs = {n: v for n, v in st.dofs.items() if n.split(".")[0] not in owned}
    if statics and steps:
        text = "; ".join(dict.fromkeys(f.text for f in others))
        if steps[0].gait is not None or steps[0].dt < 0.5:
            steps.insert(0, Step(0.8, dict(statics), text))
        else:
            steps[0].dofs = statics | steps[0].dofs
    _release_arms(score.state, group, before, steps)
    keep = group[0].sense is not None and group[0].sense.primitive in ("hold",)
    score.settle(steps, keep)
    if steps and steps[-1].free:
        score.pending = steps.pop()
        if owned:
            score.pending.dofs |= {
                n: STANCE.get(n, 0.0) for n in statics
                if n[:1] not in score.state.held or n.split(".")[0] in ("head_look", "torso")
            }  # fmt: skip
    begin = score.now
    for st in steps:
        score.play(st)
    _lay(score, overlays, begin, steps)
    return end


def _lay(score: _Score, overlays: list[list[Step]], begin: float, steps: list[Step]) -> None:
    """Put the steps of simultaneous actions between the carrier's as layer keys."""
    for overlay in overlays:
        t = begin + 0.02
        for st in overlay:
            t += st.dt
            score.rows.append((t, st, True))
            t += st.hold
        if t > score.now:
            rest = Step(t - score.now + 0.1, {}, steps[-1].text if steps else "")
            score.play(rest)


def _act(frame: Frame, state: State) -> list[Step]:
    """The steps of one frame with its speed and amount."""
    assert frame.sense is not None
    base = dict(state.dofs)
    name = frame.sense.primitive
    frame = replace(frame)  # an action may settle its own count or distance
    steps = perform(name, frame, state)
    if frame.speed < 1 and frame.styles:
        frame.speed = math.sqrt(frame.speed)  # most styles that go with "slowly" are slow already
    for st in steps:
        st.dt = round(st.dt / frame.speed, 3)
        if st.gait is not None and frame.speed != 1.0:
            swing, double = SWING.get(st.gait["kind"], (0.45, 0.2))
            st.gait.setdefault("swing_s", round(max(0.2, swing / frame.speed), 3))
            if double > 0:
                st.gait.setdefault("double_s", round(double / frame.speed, 3))
        if frame.amount != 1.0 and name not in EXACT and not st.steady:
            st.dofs = {n: _scaled(n, v, base.get(n, 0.0), frame.amount) for n, v in st.dofs.items()}
        st.dofs = {n: _clamped(n, v) for n, v in st.dofs.items()}
    return steps


def _scaled(name: str, value: float, base: float, amount: float) -> float:
    if name.endswith((".plane", ".axial", ".pron")):
        return value
    return base + (value - base) * min(max(amount, 0.3), 1.3)


def _clamped(name: str, value: float) -> float:
    low, high = RANGES.get(name, (-720.0, 720.0))
    if name.endswith(".elevation"):
        low, high = 0.0, 178.0
    return round(min(max(value, low), high), 1)


def _release_arms(state: State, group: list[Frame], before: set[str], steps: list[Step]) -> None:
    """An arm that was kept somewhere and now does something else is no longer kept."""
    for side in list(before):
        touched = any(
            n.startswith(f"{side}_") and n[2:].startswith(ARM_JOINTS)
            for st in steps
            for n in st.dofs
        )
        ends_down = steps and steps[-1].dofs.get(f"{side}_shoulder.elevation", 99.0) < 15
        if touched and ends_down:
            state.held.discard(side)


def _with_end(score: _Score) -> list[tuple[float, Step, bool]]:
    """All rows in order of time, with a short rest at the end."""
    rows = score.rows
    last = max((row for row in rows if not row[2]), key=lambda row: row[0])[1]
    last.hold = max(last.hold, 0.4)
    return sorted(rows, key=lambda row: row[0])
