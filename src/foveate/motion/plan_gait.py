"""How the body as a whole moves: travel, gaits, style. Parts of a plan.

The one thing to know: every number left out is the default of the kind of gait.
"""

# ruff: noqa: RUF012 - pydantic copies the defaults of a model
from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from .plan_fields import Degrees, Metres2, PlanValue, check_dofs


class Root(PlanValue):
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


class Gait(PlanValue):
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


class StyleSpec(PlanValue):
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

    _dofs_exist = field_validator("dofs")(lambda value: check_dofs(value))
