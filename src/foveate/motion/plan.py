"""KeyframePlan: what a designer (a language model, the offline grammar, a person) hands on.

The one thing to know: a plan is JSON of degrees, metres and seconds, and everything in it that is
not said is inherited from the key before: angles, contacts, gaze. `KeyframePlan.schema()` is the
JSON Schema, made from these classes; `KeyframePlan.from_json` checks and normalises (`dt` becomes
`t`, `"L_foot:floor"` becomes a Contact, `repeat_with`/`times` is written out).
"""

# ruff: noqa: RUF012 - pydantic copies the defaults of a model
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from .body import BodyShape
from .plan_fields import (
    CONTACT_PARTS,
    DIRECTIONS,
    EASES,
    EFFECTORS,
    PARTS,
    SEGMENTS,
    Contact,
    ContactPart,
    Coverage,
    Degrees,
    Ease,
    Loop,
    Metres3,
    Part,
    PlanValue,
    PoseGoal,
    Text,
    Tolerance,
    check_dofs,
    listed,
)
from .plan_gait import Gait, Root, StyleSpec
from .plan_text import contact_of, write_out
from .pose import Pose
from .scene import Scene, first_problem


class Keyframe(PlanValue):
    """One key pose.

    Args:
        id: Distinct within the plan.
        t: Seconds from the start.
        hold: Seconds the pose is kept from `t` on.
        ease: How the segment before the key runs.
        description: The whole body in one sentence (D_i of the paper).
        parts: One sentence for each part that moves (d_ij).
        base: What `dofs` are laid on: the pose before, or the neutral stance.
        dofs: Angles in degrees, as in `Pose.with_dofs`.
        goals: What must be true in space.
        contacts: What touches from here on. None inherits; a list replaces everything, except
            that feet inherit their places; [] means that nothing touches.
        support: Which contacts carry the weight ("auto" or parts); ["L_foot"] shifts it.
        root: Travel, turn and height.
        gait: Locomotion in the segment before the key.
        gaze: What the head turns to: a site, an object, a direction, or a place.
        tolerance: Of time and pose.
        pose: The realised pose, once an animator or the solver has made it.
        confidence: 0 … 1.
        layer: The key only sets angles, laid over whatever the other keys do at that time (waving
            while walking). A run of layer keys fades in and out again.
        repeat_with: Id of an earlier key: the two alternate `times` times (written out on reading).
        times: See `repeat_with`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

    id: str = Field(min_length=1, max_length=60)
    t: float = Field(ge=0, le=600)
    hold: float = Field(0.0, ge=0, le=60)
    ease: Ease = "smooth"
    description: Text = ""
    parts: dict[Part, Text] = {}
    base: Literal["previous", "neutral"] = "previous"
    dofs: dict[str, Degrees] = {}
    goals: list[PoseGoal] = []
    contacts: list[Contact] | None = None
    support: Literal["auto"] | list[ContactPart] = "auto"
    root: Root = Root()
    gait: Gait | None = None
    gaze: str | Metres3 | None = None
    tolerance: Tolerance = Tolerance()
    pose: Any = None
    confidence: float = Field(1.0, ge=0, le=1)
    layer: bool = False

    _dofs_exist = field_validator("dofs")(lambda value: check_dofs(value))

    @field_validator("contacts", mode="before")
    @classmethod
    def _short_contacts(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [contact_of(item) if isinstance(item, str) else item for item in value]
        return value

    @field_validator("pose", mode="before")
    @classmethod
    def _read_pose(cls, value: Any) -> Any:
        if value is None or isinstance(value, Pose):
            return value
        return Pose.from_json(value)


class KeyframePlan(PlanValue):
    """The whole plan. Make one with `from_json`, or from the classes and `normalized()`.

    Args:
        keys: In order of time; the first is where the motion starts.
        text: What was asked for.
        source: "mllm:<model>", "offline" or "hand".
    """

    version: Literal[1] = 1
    text: str = ""
    language: str = "en"
    source: str = "hand"
    seed: int = 0
    body: BodyShape = BodyShape()
    scene: Scene | None = None
    style: StyleSpec | None = None
    loop: Loop | None = None
    keys: list[Keyframe] = Field(min_length=1, max_length=400)
    notes: list[str] = []
    coverage: Coverage | None = None

    @model_validator(mode="after")
    def _check(self) -> KeyframePlan:
        ids = [key.id for key in self.keys]
        for i, (before, key) in enumerate(zip(self.keys, self.keys[1:], strict=False)):
            if key.t <= before.t:
                raise ValueError(
                    f"keys.{i + 1}.t is {key.t}, not after {before.t} of the key before; "
                    "times must increase (or give dt)"
                )
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"two keys have the id {twice!r}; give each its own")
        if self.loop:
            for name in (self.loop.start_key, self.loop.end_key):
                if name not in ids:
                    raise ValueError(f"loop names key {name!r}; keys are {listed(ids)}")
        return self

    @property
    def duration(self) -> float:
        """Seconds until the last key's hold is over."""
        return self.keys[-1].t + self.keys[-1].hold

    def key(self, name: str) -> Keyframe:
        """The key of that id; ValueError if there is none."""
        for key in self.keys:
            if key.id == name:
                return key
        raise ValueError(f"no key {name!r}; keys are {listed(k.id for k in self.keys)}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what equals its default; the inverse of `from_json`."""
        found = self.model_dump(mode="json", exclude_defaults=True, exclude={"keys"})
        keys = []
        for key in self.keys:
            data = key.model_dump(mode="json", exclude_defaults=True, exclude={"pose"})
            data |= {"id": key.id, "t": key.t}
            if key.pose is not None:
                data["pose"] = key.pose.to_json()
            keys.append(data)
        return {"version": self.version, **found, "keys": keys}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | str) -> KeyframePlan:
        """Read, check and normalise a plan.

        Raises:
            ValueError: One line that names the first field that is wrong.
        """
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except json.JSONDecodeError as error:
                raise ValueError(f"a plan must be JSON: {error}") from None
        if not isinstance(data, Mapping) or not isinstance(data.get("keys"), list):
            raise ValueError("a plan is an object with a list `keys`; see KeyframePlan.schema()")
        try:
            return cls.model_validate({**data, "keys": write_out(data["keys"])})
        except ValidationError as error:
            raise ValueError(f"not a plan: {first_problem(error)}") from None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of what `to_json` gives; keys may have `dt` in place of `t` when read."""
        return cls.model_json_schema()


__all__ = [
    "CONTACT_PARTS", "DIRECTIONS", "EASES", "EFFECTORS", "PARTS", "SEGMENTS", "Contact", "Coverage",
    "Gait", "Keyframe", "KeyframePlan", "Loop", "PoseGoal", "Root", "StyleSpec", "Tolerance",
    "write_out",
]  # fmt: skip
