"""KeyframePlan: what a designer (a language model, the offline grammar, a person) hands on.

The one thing to know: a plan is JSON of degrees, metres and seconds, and everything in it that is
not said is inherited from the key before: angles, contacts, gaze. `KeyframePlan.schema()` is the
JSON Schema, made from these classes; `KeyframePlan.from_json` checks and normalises (`dt` becomes
`t`, `"L_foot:floor"` becomes a Contact, `repeat_with`/`times` is written out).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .body import BODY, BodyShape
from .pose import Pose, expand_dof
from .scene import Scene, first_problem

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


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Contact(_Value):
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


class PoseGoal(_Value):
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
            raise ValueError(f"effector is {self.effector!r}; expected one of {_list(EFFECTORS)}")
        if self.kind == "direction" and self.segment not in SEGMENTS:
            raise ValueError(f"segment is {self.segment!r}; expected one of {_list(SEGMENTS)}")
        if self.kind == "direction":
            _check_direction(self.toward or "")
        sites = [self.a, self.b] if self.kind == "distance" else []
        for site in [*sites, self.effector if self.kind == "height" else None]:
            if site is not None and site not in BODY.sites:
                raise ValueError(f"unknown site {site!r}; sites are {_list(BODY.sites)}")
        return self


class Root(_Value):
    """How the body as a whole has moved since the key before.

    Args:
        travel: (forward, left) in metres, as the character faced at the key before. Feet that
            stand and can still be reached stay; the others step.
        yaw_deg: Turned to the left by this much.
        pitch_deg: Pelvis tilted forwards (lying on the back: −90), absolute; None follows the feet.
        roll_deg: Pelvis tilted to the right, absolute; None follows the feet.
        height_mode: "grounded" finds the height from the contacts, "absolute" takes `height`,
            "ballistic" makes the segment before this key a flight with apex `height` above the
            height at take-off.
        height: Metres; of the pelvis above the floor, or of the apex.
        spin_deg: Turned this far to the left during a flight.
    """

    travel: Metres2 = (0.0, 0.0)
    yaw_deg: Degrees = 0.0
    pitch_deg: Degrees | None = None
    roll_deg: Degrees | None = None
    height_mode: Literal["grounded", "absolute", "ballistic"] = "grounded"
    height: float | None = Field(None, ge=-3, le=10)
    spin_deg: Degrees = 0.0


class Gait(_Value):
    """The segment before a key is locomotion; the key's other fields hold at its end.

    Args:
        kind: Sets the defaults of everything below.
        steps: How many; or give `distance`.
        distance: Metres along the way.
        direction_deg: Where to, as seen by the character: 0 ahead, 90 to the left, 180 backwards.
        turn_deg: Total turn to the left over the whole segment (a curve, or on the spot when the
            distance is 0).
        length: Of one step, metres.
        width: Between the feet, metres.
        swing_s: Time of a foot in the air.
        double_s: Time of both feet on the ground between two swings; negative lets the swings
            overlap: a flight, as in running.
        lift: Height of the swinging foot, metres.
        knee_lift_deg: Thigh raised during the swing (marching).
        arm_swing: 1 is natural, 0 still.
        lean_deg: Trunk forwards.
        crouch: Lowering of the pelvis, metres.
        bounce: Rise of the pelvis per step, metres.
        heel_lift: Share of standing on the toes, 0 … 1.
        asymmetry: Limp: how much shorter the right foot's stance is, −1 … 1.
        first: The foot that steps first.
        finish: True brings the feet together at the end.
        onto: Names of objects to step on in turn (stepping stones, stairs).
    """

    kind: Literal[
        "walk",
        "run",
        "jog",
        "march",
        "tiptoe",
        "sneak",
        "limp",
        "side-step",
        "back-step",
        "shuffle",
        "stagger",
        "turn",
        "stairs",
        "stones",
        "hop",
        "skip",
    ] = "walk"
    steps: int | None = Field(None, ge=1, le=60)
    distance: float | None = Field(None, ge=0, le=40)
    direction_deg: Degrees = 0.0
    turn_deg: Degrees = 0.0
    length: float | None = Field(None, ge=0, le=1.6)
    width: float | None = Field(None, ge=0, le=0.6)
    swing_s: float | None = Field(None, ge=0.15, le=2)
    double_s: float | None = Field(None, ge=-0.3, le=2)
    lift: float | None = Field(None, ge=0.01, le=0.5)
    knee_lift_deg: float | None = Field(None, ge=0, le=120)
    arm_swing: float | None = Field(None, ge=0, le=3)
    lean_deg: float | None = Field(None, ge=-20, le=60)
    crouch: float | None = Field(None, ge=0, le=0.4)
    bounce: float | None = Field(None, ge=0, le=0.3)
    heel_lift: float | None = Field(None, ge=0, le=1)
    asymmetry: float | None = Field(None, ge=-1, le=1)
    first: Literal["left", "right", "auto"] = "auto"
    finish: bool = True
    onto: list[str] = []


class StyleSpec(_Value):
    """How, not what: offsets and scales laid over the whole motion.

    Args:
        name: A preset (happy, proud, angry, childlike, depressed, drunk, old, heavy) or any word.
        amount: 0 … 2, how much of it.
        dofs: Added to every pose, degrees.
        amplitude: Scale of the departures from the neutral stance.
        tempo: Speed relative to normal.
        step_length, step_width, arm_swing: Scales of the gait.
        sway: Sideways wander of the centre of mass, metres.
        jitter: Irregularity of the timing, as a share.
        bounce: Added rise of the pelvis per step, metres.
        lag_s: Delay of head and arms.
    """

    name: str = ""
    amount: float = Field(1.0, ge=0, le=2)
    dofs: dict[str, Degrees] = {}
    amplitude: float | None = Field(None, ge=0, le=3)
    tempo: float | None = Field(None, ge=0.2, le=3)
    step_length: float | None = Field(None, ge=0.2, le=2)
    step_width: float | None = Field(None, ge=0.3, le=3)
    arm_swing: float | None = Field(None, ge=0, le=3)
    sway: float | None = Field(None, ge=0, le=0.1)
    jitter: float | None = Field(None, ge=0, le=0.5)
    bounce: float | None = Field(None, ge=0, le=0.2)
    lag_s: float | None = Field(None, ge=0, le=0.3)

    _dofs_exist = field_validator("dofs")(lambda value: _check_dofs(value))


class Tolerance(_Value):
    """How far the solver may depart from a key."""

    time_s: float = Field(0.15, gt=0, le=5)
    pose_deg: float = Field(10.0, gt=0, le=90)


class Loop(_Value):
    """Repeat the keys from `start_key` to `end_key` until the cycle has run `count` times."""

    start_key: str
    end_key: str
    count: int = Field(1, ge=1, le=60)
    advance: float = 0.0
    turn_deg: Degrees = 0.0


class Coverage(_Value):
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


class Keyframe(_Value):
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

    _dofs_exist = field_validator("dofs")(lambda value: _check_dofs(value))

    @field_validator("contacts", mode="before")
    @classmethod
    def _short_contacts(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [_contact(item) if isinstance(item, str) else item for item in value]
        return value

    @field_validator("pose", mode="before")
    @classmethod
    def _read_pose(cls, value: Any) -> Any:
        if value is None or isinstance(value, Pose):
            return value
        return Pose.from_json(value)


class KeyframePlan(_Value):
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
                    raise ValueError(f"loop names key {name!r}; keys are {_list(ids)}")
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
        raise ValueError(f"no key {name!r}; keys are {_list(k.id for k in self.keys)}")

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


def write_out(keys: list[Any]) -> list[Any]:
    """Keys with `dt` turned into `t`, missing ids given, and `repeat_with`/`times` written out.

    `{"id": "k2", "repeat_with": "k1", "times": 3}` becomes k2 k1 k2 k1 k2 k1 with the interval
    between k1 and k2; all later keys that have `t` keep it, unless the repetition runs past them.
    """
    found: list[dict[str, Any]] = []
    end = 0.0
    for index, raw in enumerate(keys):
        if not isinstance(raw, Mapping):
            raise ValueError(f"keys.{index} is {type(raw).__name__}; expected an object")
        key = dict(raw)
        repeat, times = key.pop("repeat_with", None), key.pop("times", None)
        dt = key.pop("dt", None)
        key.setdefault("id", f"k{index}")
        for name, value in (("t", key.get("t")), ("dt", dt)):
            if value is not None and not _number(value):
                raise ValueError(f"keys.{index}.{name} is {value!r}; expected seconds")
        if "t" not in key:
            last_hold = found[-1].get("hold", 0.0) if found else 0.0
            key["t"] = end + last_hold + (dt if dt is not None else (0.5 if found else 0.0))
        if found and key["t"] <= end and repeat is None and _ran_over(found):
            key["t"] = end + 0.3
        found.append(key)
        if repeat is not None:
            found += _repetitions(found, index, repeat, times)
        end = found[-1]["t"]
    return found


def _repetitions(found: list[dict[str, Any]], index: int, repeat: Any, times: Any) -> list[dict]:
    key = found[-1]
    other = next((k for k in found[:-1] if k["id"] == repeat), None)
    if other is None:
        raise ValueError(f"keys.{index}.repeat_with is {repeat!r}; expected the id of a key before")
    count = 1 if times is None else times
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 60:
        raise ValueError(f"keys.{index}.times is {times!r}; expected a whole number from 1 to 60")
    gap = max(0.08, key["t"] - other["t"])
    made, t = [], key["t"]
    for n in range(2 * count - 1):
        source = other if n % 2 == 0 else key
        t += gap
        made.append({**source, "id": f"{source['id']}~{n // 2 + 2}", "t": round(t, 6), "root": {}})
    return made


def _ran_over(found: list[dict[str, Any]]) -> bool:
    return "~" in str(found[-1]["id"])


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _contact(text: str) -> dict[str, str]:
    part, _, surface = text.partition(":")
    return {"part": part, "surface": surface or "floor"}


def _check_dofs(dofs: dict[str, float]) -> dict[str, float]:
    for name in dofs:
        expand_dof(name)
    return dofs


def _check_direction(toward: str) -> None:
    words = toward.split("-")
    if not 1 <= len(words) <= 3 or any(word not in DIRECTIONS for word in words):
        raise ValueError(
            f"toward is {toward!r}; expected {_list(DIRECTIONS)}, or two with a hyphen"
        )


def _list(names: Any) -> str:
    return ", ".join(names)
