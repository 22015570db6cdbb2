"""The notation in which actions are written: steps, angles by short names, and the body's state.

The one thing to know: angles are told as in `"A_shoulder elevation 95 plane 10, A_elbow 80"`: comma
between joints, `A` the acting side, `O` the other one, `B` both; without a word of its own an angle
is the joint's `flex` (`dorsi` of an ankle, `elev` of a collar, `ext` of the toes).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MAIN_DOF = {"ankle": "dorsi", "collar": "elev", "foot": "ext"}
SHOULDER = ("elevation", "plane", "axial")
SHORT = {"elev": "elevation"}
"""`elev` means elevation at a shoulder."""

STANCE: dict[str, float] = {}
for _side in "LR":
    STANCE |= {
        f"{_side}_shoulder.elevation": 8.0,
        f"{_side}_shoulder.plane": 0.0,
        f"{_side}_shoulder.axial": 0.0,
        f"{_side}_elbow.flex": 10.0,
        f"{_side}_knee.flex": 14.0,
        f"{_side}_hip.flex": 9.0,
        f"{_side}_ankle.dorsi": 5.0,
    }

ARM_JOINTS = ("collar", "shoulder", "elbow", "wrist")
LEG_JOINTS = ("hip", "knee", "ankle", "foot")
PART_WORDS = {
    "collar": "arm",
    "shoulder": "arm",
    "elbow": "arm",
    "wrist": "hand",
    "hip": "leg",
    "knee": "leg",
    "ankle": "foot",
    "foot": "foot",
}


@dataclass
class Step:
    """One key of an action, relative to the one before.

    Attributes:
        dt: Seconds since the step before (its hold included).
        dofs: Angles in degrees, full names; only what changes.
        text: What the body does, one sentence.
        hold: Seconds the pose is kept.
        ease: As in `Keyframe`.
        goals: Dictionaries for `PoseGoal`.
        contacts: Dictionaries for `Contact`, or None to inherit.
        support: Parts that carry the weight, or None to inherit.
        root: Fields of `Root`.
        gait: Fields of `Gait`, or None.
        gaze: What the head turns to.
        free: The step only brings the body back; another action may skip it.
        steady: Amplitude and style words do not scale it (contacts depend on it).
    """

    dt: float
    dofs: dict[str, float] = field(default_factory=dict)
    text: str = ""
    hold: float = 0.0
    ease: str = "smooth"
    goals: list[dict[str, Any]] = field(default_factory=list)
    contacts: list[Any] | None = None
    support: list[str] | None = None
    root: dict[str, Any] = field(default_factory=dict)
    gait: dict[str, Any] | None = None
    gaze: str | None = None
    free: bool = False
    steady: bool = False

    def lasts(self) -> float:
        """Seconds from the step before to the end of this one's hold."""
        return self.dt + self.hold


@dataclass
class State:
    """What the next action starts from.

    Attributes:
        posture: stand, sit, sit_floor, kneel, half_kneel, squat, lie, crawl, plank.
        dofs: Every angle that has been set, full names.
        held: Sides whose arm is kept somewhere ("L", "R").
        carrying: Whether the hands hold something.
        down: Side of the knee on the floor while half kneeling ("L", "R" or "").
        seat: Name of the object that is sat or lain on.
        where: (forward, left) from the start in metres, and the heading in degrees.
        scene: Names → facts of objects (see `props.py`).
    """

    posture: str = "stand"
    dofs: dict[str, float] = field(default_factory=lambda: dict(STANCE))
    held: set[str] = field(default_factory=set)
    carrying: bool = False
    down: str = ""
    seat: str = ""
    where: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scene: dict[str, Any] = field(default_factory=dict)

    def copy(self) -> State:
        """An independent state."""
        return replace(self, dofs=dict(self.dofs), held=set(self.held), scene=dict(self.scene))

    def base(self, name: str) -> float:
        """Where an angle comes back to: the stance for legs and trunk of who stands, else as it
        is."""
        joint = name.split(".")[0]
        arm = joint[2:] in ARM_JOINTS
        if self.posture == "stand" and not arm:
            return STANCE.get(name, 0.0)
        return self.dofs.get(name, STANCE.get(name, 0.0))

    def angles(self, *joints: str) -> dict[str, float]:
        """The present angles of these joints (`"L_shoulder"`, `"torso"`)."""
        return {n: v for n, v in self.dofs.items() if n.split(".")[0] in joints}


def other(side: str) -> str:
    """The other side: L ↔ R; B stays."""
    return {"L": "R", "R": "L"}.get(side, side)


def angles(text: str, side: str = "R") -> dict[str, float]:
    """Degrees by full name from the short notation.

    >>> angles("A_elbow 80, torso rot 20", "L")
    {'L_elbow.flex': 80.0, 'torso.rot': 20.0}

    Raises:
        ValueError: The text is not in the notation.
    """
    found: dict[str, float] = {}
    for joint, values in _parse(text):
        for name in _sided(joint, side):
            found |= {f"{name}.{dof}": value for dof, value in values}
            if name.endswith("_shoulder"):
                # elevation, plane and axial only mean something together
                for dof in SHOULDER:
                    found.setdefault(f"{name}.{dof}", 0.0)
    return found


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[tuple[str, tuple[tuple[str, float], ...]], ...]:
    found = []
    for piece in text.split(","):
        words = piece.split()
        if not words:
            continue
        joint, rest = words[0], words[1:]
        plain = joint.split("_", 1)[1] if joint[1:2] == "_" else joint
        dof = MAIN_DOF.get(plain, "elevation" if plain == "shoulder" else "flex")
        values = []
        for word in rest:
            try:
                values.append((dof, float(word)))
            except ValueError:
                dof = SHORT.get(word, word) if plain == "shoulder" else word
        if not values:
            raise ValueError(f"{piece.strip()!r} has no angle; expected joint [dof] degrees")
        found.append((joint, tuple(values)))
    return tuple(found)


def _sided(joint: str, side: str) -> tuple[str, ...]:
    letter, mark, rest = joint.partition("_")
    if not mark or letter not in "ABOLR" or joint in ("head_look",):
        return (joint,)
    which = {"A": side, "O": other(side)}.get(letter, letter)
    return tuple(f"{s}_{rest}" for s in ("LR" if which == "B" else which))


def rest_of(names: Iterable[str]) -> dict[str, float]:
    """The neutral stance of these angles."""
    return {name: STANCE.get(name, 0.0) for name in names}


def arms_down(*sides: str) -> dict[str, float]:
    """Both arms (or those named) hanging relaxed."""
    found = {}
    for side in sides or ("L", "R"):
        for dof in ("shoulder.elevation", "shoulder.plane", "shoulder.axial", "elbow.flex"):
            found[f"{side}_{dof}"] = STANCE.get(f"{side}_{dof}", 0.0)
        for dof in ("collar.elev", "collar.prot", "elbow.pron", "wrist.flex", "wrist.dev"):
            found[f"{side}_{dof}"] = 0.0
    return found


def blend(a: Mapping[str, float], b: Mapping[str, float], s: float) -> dict[str, float]:
    """Angles of `a` moved a share `s` of the way to `b`; what only one names counts from rest."""
    return {
        n: (1 - s) * a.get(n, STANCE.get(n, 0.0)) + s * b.get(n, STANCE.get(n, 0.0))
        for n in {**a, **b}
    }


def part_of(name: str) -> str:
    """The designer's word for the part that an angle belongs to.

    >>> part_of("L_elbow.flex"), part_of("torso.rot")
    ('left_arm', 'torso')
    """
    joint = name.split(".")[0]
    if joint[:2] in ("L_", "R_"):
        side = "left" if joint[0] == "L" else "right"
        return f"{side}_{PART_WORDS.get(joint[2:], 'arm')}"
    return "head" if joint.startswith(("head", "neck")) else "torso"


def step(dt: float, text: str, told: str = "", side: str = "R", **more: Any) -> Step:
    """A step from the short notation."""
    return Step(dt, angles(told, side), text, **more)
