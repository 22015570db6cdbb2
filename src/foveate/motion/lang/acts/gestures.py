"""Actions of the arms that are a pose to reach, a beat to repeat, and a way back.

The one thing to know: the rows stand in `gestures.txt`. `start` is reached in `up` seconds, then
the poses of `beats` follow each other every `beat` seconds, `times` rounds; `stay` seconds of hold
follow, then the arms come down unless `keep` is set.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..score import ARM_JOINTS
from .common import WORD, Frame, State, Step, angles, arm_side, other, release


@dataclass(frozen=True)
class Gesture:
    """One row; see the file's docstring."""

    text: str
    start: str
    up: float = 0.7
    beats: tuple[str, ...] = ()
    beat: float = 0.3
    times: int = 3
    stay: float = 0.0
    keep: bool = False
    swap: bool = False
    """Whether the sides change roles with every round (drumming, climbing)."""


def _read() -> dict[str, Gesture]:
    """The rows of `gestures.txt`."""
    text = resources.files(__package__).joinpath("gestures.txt").read_text(encoding="utf-8")
    found = {}
    for block in text.split("\n[")[1:]:
        head, *lines = block.strip().splitlines()
        name, told, *settings = (part.strip() for part in head.rstrip("]").split("|"))
        values: dict[str, Any] = {}
        for word in settings[0].split() if settings else ():
            key, _, value = word.partition("=")
            values[key] = (int(value) if key == "times" else float(value)) if value else True
        poses = [line.split(":", 1)[1].strip() for line in lines if ":" in line]
        found[name] = Gesture(told, poses[0], beats=tuple(poses[1:]), **values)
    return found


GESTURES = _read()
"""Primitive → how it goes. The acting side is the right one unless the text says otherwise."""


def gesture(name: str, f: Frame, s: State, **_: object) -> list[Step]:
    """The steps of a row of the table, with the side, count and duration of the frame."""
    g = GESTURES[name]
    side = arm_side(f)
    lead = side if side in ("L", "R") else "R"
    only = name in ONE_OR_BOTH and side in ("L", "R") and _arm_named(f)
    double = side == "B" and not _uses_both(g)

    def told(text: str, acting: str) -> dict[str, float]:
        found = angles(text, acting)
        if only:
            found = {n: v for n, v in found.items() if not n.startswith(other(acting) + "_")}
        return found | angles(text, other(acting)) if double else found

    text = g.text.format(
        side="both" if double else WORD[lead],
        arms=f"{WORD[lead]} arm" if only else "arms",
    )
    text = text.replace("the both hand", "both hands")
    made = [Step(g.up, told(g.start, lead), text)]
    beats = g.beats
    if name == "arm_circle" and "forward" in f.directions:
        beats = (*beats[-2::-1], beats[-1])  # the row goes up in front and down behind
    rounds = f.count(g.times)
    if f.times is None and f.seconds and g.beats:
        rounds = max(1, min(40, round(f.seconds / (g.beat * len(g.beats)))))
    for n in range(rounds):
        acting = other(lead) if g.swap and n % 2 else lead
        made += [Step(g.beat, told(beat, acting), text) for beat in beats]
    made[-1].hold = f.seconds if f.seconds and not g.beats else g.stay
    if g.keep:
        return made
    end = release(s, "LR" if double or (_uses_both(g) and not only) else lead)
    for name_ in {n for st in made for n in st.dofs}:
        if not name_[2:].startswith(ARM_JOINTS):
            end.dofs[name_] = s.base(name_)
    return [*made, end]


ONE_OR_BOTH = {"curl", "arm_circle", "shake_arm", "flap", "swing_arms"}
"""Told for both arms, but a named arm does it alone."""


def _uses_both(g: Gesture) -> bool:
    """Whether the row moves both arms whatever the side."""
    return any("B_" in text or "O_" in text for text in (g.start, *g.beats))


def _arm_named(f: Frame) -> bool:
    return any(limb.side in ("L", "R") for limb in f.limbs)
