"""The body: 22 joints in SMPL's order, their degrees of freedom, their proportions.

The one thing to know: angles are clinical and mirrored, so one sign means the same thing on both
sides ("abd" is always away from the midline). The frame is x forward, y left, z up; at rest (arms
hanging, palms to the thighs) every joint frame is aligned with the world. Everything is generated
from anthropometric ratios of stature and mass (Drillis and Contini, 1966; Winter, *Biomechanics
and Motor Control of Human Movement*, rounded); no licensed body model is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from .joints import (
    DOF,
    DOF_HIGH,
    DOF_LOW,
    DOFS,
    JOINT,
    JOINT_DOFS,
    JOINTS,
    PARENTS,
    STANCE,
    VIRTUAL,
    Dof,
)

__all__ = [
    "BODY",
    "DOF",
    "DOFS",
    "DOF_HIGH",
    "DOF_LOW",
    "JOINT",
    "JOINTS",
    "JOINT_DOFS",
    "PARENTS",
    "STANCE",
    "VIRTUAL",
    "Body",
    "BodyShape",
    "Dof",
    "Geom",
    "body_of",
]


class BodyShape(BaseModel):
    """What may differ from person to person.

    Args:
        height: Stature in metres.
        mass: In kilograms.
        leg_ratio: Length of the legs relative to the usual share of the stature; the trunk takes
            what is left.
        arm_ratio: Length of the arms, likewise.
        shoulder_width: Width of the shoulders, likewise.
        build: Thickness of limbs and trunk, likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: float = Field(1.72, ge=0.8, le=2.5)
    mass: float = Field(70.0, ge=15, le=250)
    leg_ratio: float = Field(1.0, ge=0.8, le=1.2)
    arm_ratio: float = Field(1.0, ge=0.7, le=1.3)
    shoulder_width: float = Field(1.0, ge=0.7, le=1.4)
    build: float = Field(1.0, ge=0.6, le=1.8)


@dataclass(frozen=True)
class Geom:
    """One rigid shape of a segment, in the frame of its joint.

    Attributes:
        joint: Index of the joint that carries it.
        kind: "capsule" (a and b are its ends), "sphere" (a) or "box" (a is its centre).
        a, b: Points in metres; b is None but for capsules.
        size: Radius, or the three full edges of a box.
        mass: In kilograms.
    """

    joint: int
    kind: str
    a: tuple[float, float, float]
    b: tuple[float, float, float] | None
    size: tuple[float, ...]
    mass: float


class Body:
    """A body shape, worked out: offsets, sites and geoms. `body_of(shape)` keeps them.

    Attributes:
        shape: What it was made from.
        offsets: Place of each joint in the frame of its parent at rest, metres, `[22, 3]`; the
            first row is the height of the pelvis when the body stands at attention.
        sites: Name → (joint, place in its frame); landmarks, contact points, ends of segments.
        contact_points: Contact part → names of the sites that touch.
    """

    def __init__(self, shape: BodyShape) -> None:
        self.shape = shape
        h = shape.height
        leg = h * shape.leg_ratio
        self.ankle_height = 0.039 * leg
        self.hip_height = (0.245 + 0.246 + 0.039) * leg
        self.leg_length = (0.245 + 0.246) * leg - 0.03 * h / 1.72  # hip joint to ankle
        trunk = (0.875 * h - self.hip_height) / 0.345  # neck, spine and chest share what is left
        arm, width = h * shape.arm_ratio, h * shape.shoulder_width
        self.scale = h / 1.72
        drop = 0.03 * self.scale
        offsets = np.zeros((22, 3))
        offsets[0] = 0, 0, self.hip_height
        for side, s in (("L", 1), ("R", -1)):
            offsets[JOINT[f"{side}_hip"]] = 0, s * 0.052 * h, -drop
            offsets[JOINT[f"{side}_knee"]] = 0, 0, drop - 0.245 * leg
            offsets[JOINT[f"{side}_ankle"]] = 0, 0, -0.246 * leg
            offsets[JOINT[f"{side}_foot"]] = 0.075 * leg, 0, -0.62 * self.ankle_height
            offsets[JOINT[f"{side}_collar"]] = 0, s * 0.045 * width, 0.065 * trunk
            offsets[JOINT[f"{side}_shoulder"]] = 0, s * 0.07 * width, 0.02 * trunk
            offsets[JOINT[f"{side}_elbow"]] = 0, 0, -0.172 * arm
            offsets[JOINT[f"{side}_wrist"]] = 0, 0, -0.15 * arm
        for name, share in (
            ("spine1", 0.06),
            ("spine2", 0.075),
            ("spine3", 0.035),
            ("neck", 0.125),
            ("head", 0.05),
        ):
            offsets[JOINT[name]] = 0, 0, share * trunk
        self.offsets: NDArray[np.float64] = offsets
        self.head_radius = 0.105 * self.scale
        self.toe_front = 0.07 * self.scale  # from the toe joint to the tip
        self.heel_back = 0.19 * self.scale - offsets[JOINT["L_foot"], 0]
        self.foot_half = 0.045 * self.scale
        self.hand_length = 0.1 * arm / 1.72

    @cached_property
    def sites(self) -> dict[str, tuple[int, NDArray[np.float64]]]:
        k, found = self.scale, {}
        thick = k * self.shape.build

        def add(name: str, joint: str, x: float, y: float, z: float) -> None:
            found[name] = (JOINT[joint], np.array([x, y, z]))

        for joint in JOINTS:
            add(joint, joint, 0, 0, 0)
        for side, s in (("L", 1), ("R", -1)):
            foot = self.offsets[JOINT[f"{side}_foot"]]
            palm = -s * 0.032 * thick
            sole, width = -self.ankle_height, self.foot_half
            for end, x in (("heel", -self.heel_back), ("ball", foot[0])):
                add(f"{side}_{end}_in", f"{side}_ankle", x, -s * width, sole)
                add(f"{side}_{end}_out", f"{side}_ankle", x, s * width, sole)
            toe_sole = sole - foot[2]
            add(f"{side}_toe_in", f"{side}_foot", self.toe_front, -s * width, toe_sole)
            add(f"{side}_toe_out", f"{side}_foot", self.toe_front, s * width, toe_sole)
            add(f"{side}_heel", f"{side}_ankle", -self.heel_back, 0, sole)
            add(f"{side}_toe_tip", f"{side}_foot", self.toe_front, 0, toe_sole)
            add(f"{side}_sole", f"{side}_ankle", 0.035 * k, 0, sole)
            add(f"{side}_hand", f"{side}_wrist", 0, palm, -0.8 * self.hand_length)
            add(f"{side}_fingertip", f"{side}_wrist", 0, 0, -1.6 * self.hand_length)
            add(f"{side}_palm_front", f"{side}_wrist", 0.02 * k, palm, -1.2 * self.hand_length)
            add(f"{side}_palm_back", f"{side}_wrist", -0.02 * k, palm, -1.2 * self.hand_length)
            add(f"{side}_kneecap", f"{side}_knee", 0.05 * k * self.shape.build, 0, -0.02 * k)
            add(f"{side}_shin", f"{side}_knee", 0.05 * k * self.shape.build, 0, -0.2 * k)
            add(f"{side}_calf", f"{side}_knee", -0.05 * k * self.shape.build, 0, -0.28 * k)
            add(f"{side}_thigh_back", f"{side}_hip", -0.07 * k * self.shape.build, 0, -0.25 * k)
            add(f"{side}_elbow_tip", f"{side}_elbow", -0.045 * k, 0, 0)
            seat = (-0.026 - 0.075 * self.shape.build) * k
            add(f"{side}_seat_back", "pelvis", -0.07 * k, s * 0.07 * k, seat)
            add(f"{side}_seat_front", "pelvis", 0.05 * k, s * 0.07 * k, seat)
            add(f"{side}_rump", "pelvis", -0.07 * k - 0.075 * thick, s * 0.07 * k, -0.026 * k)
            add(f"{side}_back_low", "spine2", -0.095 * thick, s * 0.06 * k, 0.02 * k)
            add(f"{side}_back_high", "spine3", -0.1 * thick, s * 0.075 * k, 0.08 * k)
            add(f"{side}_belly", "spine1", 0.09 * thick, s * 0.055 * k, 0.03 * k)
            add(f"{side}_chest", "spine3", 0.1 * thick, s * 0.075 * k, 0.08 * k)
            add(f"ear_{'left' if s > 0 else 'right'}", "head", 0, s * self.head_radius, 0.1 * k)
            name = "left" if s > 0 else "right"
            add(f"shoulder_{name}", f"{side}_shoulder", 0, 0, 0.05 * k)
            add(f"hip_{name}", "pelvis", 0, s * 0.14 * k, 0)
            add(f"knee_{name}", f"{side}_knee", 0.05 * k, 0, 0)
            add(f"thigh_{name}", f"{side}_hip", 0.07 * k, 0, -0.2 * k)
        r = self.head_radius
        add("head_top", "head", 0, 0, 2 * r)
        add("head_back", "head", -r, 0, r)
        add("nose", "head", r, 0, r)
        add("chin", "head", 0.85 * r, 0, 0.35 * r)
        add("mouth", "head", 0.97 * r, 0, 0.65 * r)
        add("eyes", "head", 0.95 * r, 0, 1.2 * r)
        add("forehead", "head", 0.9 * r, 0, 1.45 * r)
        add("throat", "neck", 0.06 * k, 0, 0.05 * k)
        add("chest", "spine3", 0.1 * thick, 0, 0.06 * k)
        add("stomach", "spine1", 0.09 * thick, 0, 0.03 * k)
        add("lower_back", "spine1", -0.09 * thick, 0, 0.03 * k)
        add("groin", "pelvis", 0.05 * k, 0, -0.09 * k)
        return found

    @cached_property
    def contact_points(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for s in "LR":
            heel, ball, toe = (
                (f"{s}_{end}_in", f"{s}_{end}_out") for end in ("heel", "ball", "toe")
            )
            found[f"{s}_foot"] = heel + toe
            found[f"{s}_toes"] = ball + toe
            found[f"{s}_heel"] = heel
            found[f"{s}_hand"] = (f"{s}_hand", f"{s}_palm_front", f"{s}_palm_back")
            found[f"{s}_knee"] = (f"{s}_kneecap", f"{s}_shin")
            found[f"{s}_calf"] = (f"{s}_calf",)
            found[f"{s}_thigh"] = (f"{s}_thigh_back",)
            found[f"{s}_elbow"] = (f"{s}_elbow_tip",)
        both = ("L", "R")
        found["pelvis"] = tuple(f"{s}_seat_{end}" for end in ("back", "front") for s in both)
        found["rump"] = tuple(f"{s}_rump" for s in both)
        found["back"] = tuple(f"{s}_back_{end}" for end in ("low", "high") for s in both)
        found["belly"] = tuple(f"{s}_belly" for s in both)
        found["chest"] = tuple(f"{s}_chest" for s in both)
        found["head"] = ("head_back",)
        return found

    @cached_property
    def geoms(self) -> tuple[Geom, ...]:
        k, mass = self.scale, self.shape.mass
        thick = k * self.shape.build
        found: list[Geom] = []

        def add(joint, kind, a, b, size, share) -> None:
            size = tuple(size) if np.ndim(size) else (float(size),)
            point = None if b is None else tuple(map(float, b))
            place = tuple(map(float, a))
            found.append(Geom(JOINT[joint], kind, place, point, size, share * mass))

        def across(joint, half, z, radius, share) -> None:
            reach = half * k
            add(joint, "capsule", (0, -reach, z * k), (0, reach, z * k), radius * thick, share)

        across("pelvis", 0.07, 0.0, 0.085, 0.055)
        for y in (-0.07, 0.07):  # what one sits on reaches from back to front
            ends = ((-0.07 * k, y * k, -0.026 * k), (0.05 * k, y * k, -0.026 * k))
            add("pelvis", "capsule", *ends, 0.075 * thick, 0.03)
        across("spine1", 0.055, 0.03, 0.09, 0.09)
        across("spine2", 0.06, 0.02, 0.095, 0.07)
        across("spine3", 0.075, 0.08, 0.1, 0.16)
        neck = self.offsets[JOINT["head"]]
        add("neck", "capsule", (0, 0, 0), neck, 0.05 * thick, 0.014)
        add("head", "sphere", (0, 0, self.head_radius), None, self.head_radius, 0.062)
        for side in "LR":

            def limb(start, end, radius, share, side=side) -> None:
                tip = self.offsets[JOINT[f"{side}_{end}"]]
                add(f"{side}_{start}", "capsule", (0, 0, 0), tip, radius * thick, share)

            limb("hip", "knee", 0.07, 0.125)
            limb("knee", "ankle", 0.05, 0.045)
            limb("collar", "shoulder", 0.045, 0.01)
            limb("shoulder", "elbow", 0.045, 0.026)
            limb("elbow", "wrist", 0.036, 0.016)
            hand = (0, 0, -1.3 * self.hand_length)
            add(f"{side}_wrist", "capsule", (0, 0, -0.02 * k), hand, 0.032 * thick, 0.006)
            foot, wide = self.offsets[JOINT[f"{side}_foot"]], 2 * self.foot_half
            length, high = foot[0] + self.heel_back, 0.044 * k
            centre = ((foot[0] - self.heel_back) / 2, 0, high / 2 - self.ankle_height)
            add(f"{side}_ankle", "box", centre, None, (length, wide, high), 0.0115)
            low = 0.032 * k
            centre = (self.toe_front / 2, 0, low / 2 - self.ankle_height - foot[2])
            add(f"{side}_foot", "box", centre, None, (self.toe_front, wide, low), 0.0025)
        return tuple(found)


@lru_cache(maxsize=32)
def body_of(shape: BodyShape | None = None) -> Body:
    """The worked-out body of a shape; the default one for None."""
    return Body(shape or BodyShape())


BODY = body_of(BodyShape())
"""The default body: 1.72 m, 70 kg."""
