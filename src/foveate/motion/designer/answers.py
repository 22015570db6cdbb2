"""What the roles answer: the classes behind the JSON Schemas that models are shown.

The one thing to know: they are flat and forgiving on purpose (angles in degrees, lengths in metres,
short enumerations); bounds are checked here, after decoding, whatever a provider promised.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..plan import EASES, PARTS

MAX_KEYS, MAX_SECONDS = 16, 30.0
Sentence = Annotated[str, Field(max_length=400)]
Planted = Literal[
    "left_foot", "right_foot", "left_toes", "right_toes", "left_hand", "right_hand", "left_knee",
    "right_knee", "pelvis", "back",
]  # fmt: skip


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Touch(_Answer):
    """Something planted: the part, and on what."""

    part: Planted
    on: str = Field("floor", description="floor, or the name of an object")


class DesignedKey(_Answer):
    """One key pose in words."""

    dt: float = Field(
        ge=0.08, le=3.0, description="seconds since the previous key; avoid round ones"
    )
    hold: float = Field(0.0, ge=0, le=10, description="seconds the pose is kept")
    description: Sentence = Field(description="the whole body in one sentence")
    parts: dict[Literal[PARTS], Sentence] = Field(  # type: ignore[valid-type]
        default={}, description="one sentence for each part that moves; others keep still"
    )
    contacts: list[Touch] | None = Field(
        None, description="everything planted from here on; leave out if nothing changed"
    )
    weight: Literal["both", "left", "right"] = Field(
        "both", description="foot that carries the body"
    )
    travel_forward: float = Field(0.0, ge=-6, le=6, description="metres since the previous key")
    travel_left: float = Field(0.0, ge=-6, le=6)
    turn_deg: float = Field(
        0.0, ge=-720, le=720, description="turn to the left since the previous key"
    )
    jump_height: float = Field(
        0.0, ge=0, le=0.8, description="metres, if the body flew to get here"
    )
    ease: Literal[EASES] = "smooth"  # type: ignore[valid-type]
    dofs: dict[str, float] = Field(
        default={}, description="angles in degrees by joint.dof, if you are sure of them"
    )


class NextKeyframe(_Answer):
    """The sequential designer's answer: one key, or the end."""

    reasoning: str = Field("", max_length=4000)
    done: bool = Field(
        description="true when the action is complete; the other fields are then unused"
    )
    key: DesignedKey | None = None


class Cycle(_Answer):
    """A periodic action: these keys, this often."""

    first: int = Field(ge=0, description="index of the key at which a cycle begins")
    last: int = Field(ge=0, description="index of the key that closes it: the same pose as first")
    count: int = Field(ge=1, le=20)


class PlanOutline(_Answer):
    """The outline designer's answer: all keys at once."""

    reasoning: str = Field("", max_length=6000)
    title: str = Field("", max_length=120)
    keys: list[DesignedKey] = Field(min_length=1, max_length=MAX_KEYS)
    cycle: Cycle | None = None


class SimpleKey(_Answer):
    """The reduced form for models that cannot manage the full one."""

    dt: float = Field(ge=0.08, le=3.0)
    description: Sentence
    dofs: dict[str, float] = {}


class SimplePlan(_Answer):
    keys: list[SimpleKey] = Field(min_length=1, max_length=MAX_KEYS)


class PosedKey(_Answer):
    """Angles and aims for one key (direct mode)."""

    index: int = Field(ge=0)
    dofs: dict[str, float] = {}
    reach: list[Reach] = []


class Reach(_Answer):
    """A hand, foot, elbow, knee or the head goes to a landmark or an object."""

    effector: str
    target: str
    forward: float = Field(0.0, ge=-1.5, le=1.5)
    left: float = Field(0.0, ge=-1.5, le=1.5)
    up: float = Field(0.0, ge=-1.5, le=1.5)


class DirectPoses(_Answer):
    """The animator's answer in direct mode: all keys in one go."""

    reasoning: str = Field("", max_length=6000)
    keys: list[PosedKey] = Field(max_length=MAX_KEYS)


class Command(_Answer):
    """One command of the animator; see `commands.COMMANDS` for what each needs."""

    name: str
    args: dict[str, Any] = {}


class AnimatorTurn(_Answer):
    """One turn of the animator in the loop: some commands, or done with the part."""

    reasoning: str = Field("", max_length=3000)
    done: bool = False
    commands: list[Command] = Field(default=[], max_length=6)


class Problem(_Answer):
    """What the critic does not like about a part."""

    part: str
    issue: str = Field(max_length=300)
    suggestion: str = Field("", max_length=300)


class Verdict(_Answer):
    """The critic on one key."""

    index: int = Field(ge=0)
    score: float = Field(ge=0, le=10)
    matches: bool = True
    problems: list[Problem] = []


class Critique(_Answer):
    """The critic's answer."""

    shown: str = Field(
        "", max_length=600, description="what this sequence shows, in your own words"
    )
    keys: list[Verdict] = Field(max_length=MAX_KEYS)


PosedKey.model_rebuild()
DirectPoses.model_rebuild()
