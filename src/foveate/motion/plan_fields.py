"""The parts of a plan: contacts, goals, travel, gaits, styles, and the words they use.

The one thing to know: these are values with checks; `plan.py` puts them together into keys and a
plan, and is where they are imported from.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .body import BODY
from .pose import expand_dof

# fmt: off
PARTS = (
    "head", "torso", "pelvis", "left_arm", "right_arm", "left_hand", "right_hand", "left_leg",
    "right_leg", "left_foot", "right_foot",
)
# fmt: on
"""Body parts in the words of a designer."""
EASES = ("linear", "smooth", "accelerate", "decelerate", "snap", "ballistic")
CONTACT_PARTS = tuple(BODY.contact_points)
"""What can touch: L_foot, R_foot, L_toes, L_heel, L_hand, L_knee, pelvis, back, …"""
EFFECTORS = tuple(
    [f"{s}_{part}" for part in ("hand", "foot", "elbow", "knee") for s in "LR"] + ["head", "pelvis"]
)
SEGMENTS = tuple(
    [f"{s}_{part}" for part in ("upper_arm", "forearm", "thigh", "shank", "foot") for s in "LR"]
    + ["trunk", "head"]
)
DIRECTIONS = ("up", "down", "forward", "backward", "left", "right", "inward", "outward")
Part = Literal[PARTS]  # type: ignore[valid-type]
Ease = Literal[EASES]  # type: ignore[valid-type]
ContactPart = Literal[CONTACT_PARTS]  # type: ignore[valid-type]
Degrees = Annotated[float, Field(ge=-720, le=720)]
Text = Annotated[str, Field(max_length=400)]
Metres2 = tuple[float, float]
Metres3 = tuple[float, float, float]


class PlanValue(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Contact(PlanValue):
    """A body part that touches something from this key on (until a key says otherwise).

    Args:
        part: What touches.
        surface: "floor", the name of an object, or a body part (hand on hip).
        mode: "plant" stays where it is, "slide" may move along, "press" pushes.
        step: The part has moved this far (forward, left) in metres since its last place, as seen
            by the character: a step. The segment before the key becomes its swing.
        turn_deg: With `step`: turned this far to the left.
        point: Or the place in the world, metres; the part goes there.
    """

    part: ContactPart
    surface: str = "floor"
    mode: Literal["plant", "slide", "press"] = "plant"
    step: Metres2 | None = None
    turn_deg: Degrees | None = None
    point: Metres3 | None = None


class PoseGoal(PlanValue):
    """What must be true in space at a key; the solver finds the angles.

    Args:
        kind: "reach" (an effector goes to a target), "direction" (a segment points somewhere),
            "distance" (between two sites), "height" (of a site above the floor), "palm" (a hand
            faces somewhere), "flat" (a foot).
        effector: Of reach: a hand, foot, elbow, knee, head or pelvis. Of height, any site.
        target: Of reach: a site ("mouth", "L_knee"), an object of the scene ("chair" is its top,
            "chair.front"), "floor", "ahead", or a place in the world.
        offset: Added to the target (forward, left, up) in metres, as seen by the character.
        segment: Of direction: what points.
        toward: Of direction and palm: up, down, forward, backward, left, right, inward, outward,
            or two of them joined by a hyphen ("forward-up"), as seen by the character; of palm
            also a site.
        a, b: Sites of a distance.
        metres: Of distance and height.
        hand: Of palm: "L" or "R".
        foot: Of flat: "L" or "R".
        weight: Relative importance.
    """

    kind: Literal["reach", "direction", "distance", "height", "palm", "flat"]
    effector: str | None = None
    target: str | Metres3 | None = None
    offset: Metres3 = (0.0, 0.0, 0.0)
    segment: str | None = None
    toward: str | None = None
    a: str | None = None
    b: str | None = None
    metres: float | None = Field(None, ge=-5, le=10)
    hand: Literal["L", "R"] | None = None
    foot: Literal["L", "R"] | None = None
    weight: float = Field(1.0, gt=0, le=10)

    @model_validator(mode="after")
    def _check(self) -> PoseGoal:
        needs = {
            "reach": ("effector", "target"),
            "direction": ("segment", "toward"),
            "distance": ("a", "b", "metres"),
            "height": ("effector", "metres"),
            "palm": ("hand", "toward"),
            "flat": ("foot",),
        }[self.kind]
        for name in needs:
            if getattr(self, name) is None:
                raise ValueError(f"a {self.kind} goal needs {', '.join(needs)}; {name} is missing")
        if self.kind == "reach" and self.effector not in EFFECTORS:
            raise ValueError(f"effector is {self.effector!r}; expected one of {listed(EFFECTORS)}")
        if self.kind == "direction" and self.segment not in SEGMENTS:
            raise ValueError(f"segment is {self.segment!r}; expected one of {listed(SEGMENTS)}")
        if self.kind == "direction":
            _check_direction(self.toward or "")
        sites = [self.a, self.b] if self.kind == "distance" else []
        for site in [*sites, self.effector if self.kind == "height" else None]:
            if site is not None and site not in BODY.sites:
                raise ValueError(f"unknown site {site!r}; sites are {listed(BODY.sites)}")
        return self


class Tolerance(PlanValue):
    """How far the solver may depart from a key."""

    time_s: float = Field(0.15, gt=0, le=5)
    pose_deg: float = Field(10.0, gt=0, le=90)


class Loop(PlanValue):
    """Repeat the keys from `start_key` to `end_key` until the cycle has run `count` times."""

    start_key: str
    end_key: str
    count: int = Field(1, ge=1, le=60)
    advance: float = 0.0
    turn_deg: Degrees = 0.0


class Coverage(PlanValue):
    """What the offline designer made of the words.

    Args:
        matched: Content words it understood.
        unmatched: Content words it did not.
        senses: Actions it found.
        confidence: 0 … 1.
    """

    matched: list[str] = []
    unmatched: list[str] = []
    senses: list[str] = []
    confidence: float = Field(1.0, ge=0, le=1)


def check_dofs(dofs: dict[str, float]) -> dict[str, float]:
    for name in dofs:
        expand_dof(name)
    return dofs


def _check_direction(toward: str) -> None:
    words = toward.split("-")
    if not 1 <= len(words) <= 3 or any(word not in DIRECTIONS for word in words):
        raise ValueError(
            f"toward is {toward!r}; expected {listed(DIRECTIONS)}, or two with a hyphen"
        )


def listed(names: Any) -> str:
    return ", ".join(names)
