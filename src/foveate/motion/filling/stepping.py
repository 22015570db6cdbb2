"""Stepping: the knots of a walk along given footholds.

The one thing to know: each step gives two knots, the end of double support and the touch-down;
between them one foot carries all the weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .. import rotations as rot
from ..body import DOF
from ..kinematics import join_qpos
from ..plan import Gait
from ..pose import apply_dofs
from ..rotations import Array
from .knots import FOOT_FAMILY, Knot, Place
from .solver import Frame, Wishes, within_limits

if TYPE_CHECKING:
    from .expand import Expander
    from .gait import Steps

FIRST_SHIFT = 0.45  # seconds to take the weight off the first foot
LAST_SHIFT = 0.45  # and to come to rest between the feet


class Walk:
    """Walks along footholds with double support between the steps."""

    def __init__(self, expander: Expander, gait: Gait, steps: Steps, hinges: Array) -> None:
        self.e, self.gait, self.steps = expander, gait, steps
        self.upper = hinges
        self.rng = np.random.default_rng(expander.plan.seed + 29)
        self.swings = arms_free(hinges, expander.neutral)
        self.apart = 0.0  # distance between the feet of the longest step

    def through(self, holds: list[tuple[str, Place]]) -> None:
        e, steps = self.e, self.steps
        contacts = self._standing()
        self.apart = self._longest(contacts, holds)
        for index, (side, place) in enumerate(holds):
            other = "R" if side == "L" else "L"
            last = index == len(holds) - 1
            rhythm = 1 + e.style.jitter * self.rng.uniform(-1, 1)
            swing = steps.swing * rhythm
            if steps.asymmetry:
                swing *= 1 - 0.35 * steps.asymmetry * (1 if side == "L" else -1)
            first = index == 0
            double = FIRST_SHIFT / e.style.tempo if first else steps.double * rhythm
            if other not in {FOOT_FAMILY[p] for p in contacts}:
                break  # the foot to stand on is not there; the settling key puts it down
            if not first:
                contacts = self._heel_off(contacts, side)
            before = self._knot(contacts, side, other, 0.7 if not first else 0.8, 0.0)
            before.span, before.exact, before.through = double, True, not first
            e.knots.append(before)
            climb = place.position[2] - contacts[_part(contacts, side)].position[2]
            far = np.linalg.norm(place.position - contacts[_part(contacts, side)].position)
            contacts = {p: c for p, c in contacts.items() if FOOT_FAMILY[p] != side}
            if steps.knee:
                e.knots.append(self._lifted(contacts, side, swing / 2))
            contacts |= {f"{side}_toes" if steps.heel else f"{side}_foot": self._rolled(place)}
            amount = 0.0 if last else np.clip(far / 0.5, 0, 1.2)
            landed = self._knot(contacts, other, side, 0.45, amount, front=side)
            landed.span = swing / 2 if steps.knee else swing
            landed.exact, landed.through = True, not last
            landed.lift = self._clearance(place, climb)
            e.knots.append(landed)
        e.feet |= e.knots[-1].feet()
        rest = self._knot(contacts, "L", "R", 0.5, 0.0)
        rest.span, rest.exact = LAST_SHIFT / e.style.tempo, True
        e.knots.append(rest)

    @staticmethod
    def _longest(contacts: dict[str, Place], holds: list[tuple[str, Place]]) -> float:
        feet = {FOOT_FAMILY[p]: c.position[:2] for p, c in contacts.items()}
        longest = 0.0
        for side, place in holds:
            feet[side] = place.position[:2]
            if len(feet) == 2:
                longest = max(longest, float(np.linalg.norm(feet["L"] - feet["R"])))
        return longest

    def _heel_off(self, contacts: dict[str, Place], side: str) -> dict[str, Place]:
        """The trailing foot rolls onto its toes before it leaves, more the longer the step."""
        feet = {FOOT_FAMILY[p]: p for p in contacts}
        if len(feet) < 2 or self.steps.heel:
            return contacts
        place, front = contacts[feet[side]], contacts[feet["R" if side == "L" else "L"]]
        behind = float((front.position - place.position)[:2] @ place.forward())
        rise = float(front.position[2] - place.position[2])
        pitch = float(np.clip(1.5 * (behind - 0.17) + 1.5 * rise, 0.0, 0.75))
        if pitch < 0.05:
            return contacts
        found = {p: c for p, c in contacts.items() if FOOT_FAMILY[p] != side}
        return found | {f"{side}_toes": replace(place, pitch=pitch)}

    def _clearance(self, place: Place, climb: float) -> float:
        e, steps = self.e, self.steps
        start = e.knots[-1].feet()
        lift = steps.lift
        if climb > 0.02:
            lift += 0.3 * climb
        side = [s for s, p in e.feet.items() if s not in start]
        if side:
            line = np.linspace(e.feet[side[0]].position[:2], place.position[:2], 9)
            highest = float(e.scene.height(line).max())
            base = max(place.position[2], e.feet[side[0]].position[2])
            lift = max(lift, highest - base + 0.05)
        e.feet |= start
        return float(lift)

    def _standing(self) -> dict[str, Place]:
        e = self.e
        feet = dict(e.knots[-1].feet())
        for side in "LR":
            if side not in feet and side in e.feet:
                feet[side] = e.feet[side]
        named = "toes" if self.steps.heel else "foot"
        return {f"{side}_{named}": self._rolled(place) for side, place in feet.items()}

    def _rolled(self, place: Place) -> Place:
        return replace(place, pitch=0.55 * self.steps.heel)

    def _root(self, contacts: dict[str, Place], toward: str, share: float) -> tuple[Array, float]:
        feet = {FOOT_FAMILY[p]: c for p, c in contacts.items()}
        if len(feet) == 1:
            only = next(iter(feet.values()))
            return only.position[:2].copy(), only.position[2]
        other = "R" if toward == "L" else "L"
        a, b = feet[other], feet[toward]
        low = min(a.position[2], b.position[2])
        high = max(a.position[2], b.position[2])
        return (1 - share) * a.position[:2] + share * b.position[:2], low + 0.45 * (high - low)

    def _height(self, contacts: dict[str, Place], ground: float) -> float:
        """Pelvis height: standing, less what the legs need to reach both footholds."""
        e, steps = self.e, self.steps
        body = e.body
        tall = e.stance.root_pos[2] - steps.crouch + steps.heel * 0.07 * body.scale
        places = [c.position for c in contacts.values()]
        apart = self.apart
        if len(places) == 2:
            apart = max(apart, float(np.linalg.norm(places[0][:2] - places[1][:2])))
        # the leading leg reaches half a step ahead of the weight, more in slow steps, where the
        # weight stays behind; the trailing one reaches further, but on its toes
        reach = 0.965 * body.leg_length
        slow = float(np.clip((steps.double - 0.14) / 0.25, 0.0, 1.0))
        gap = max((0.52 + 0.2 * slow) * apart - 0.01, 0.0)
        hip = np.sqrt(max(reach**2 - gap**2, 0.1)) + body.ankle_height + 0.03 * body.scale
        return ground + min(tall, float(hip) + steps.heel * 0.07)

    def _posture(self, front: str, amount: float) -> Array:
        """Arms against legs, trunk leaning; `front` is the leg ahead."""
        hinges = self.upper.copy()
        swing = self.steps.arms * amount
        back = "R" if front == "L" else "L"
        told: dict[str, float] = {}
        for side, degrees in ((back, 22.0), (front, -16.0)):
            if side in self.swings:
                flex = np.degrees(hinges[DOF[f"{side}_shoulder.flex"]]) + degrees * swing
                told[f"{side}_shoulder.flex"] = float(np.clip(flex, -50, 90))
                bend = np.degrees(hinges[DOF[f"{side}_elbow.flex"]]) + 8 + 6 * (degrees > 0) * swing
                told[f"{side}_elbow.flex"] = float(bend)
        turn = 4.0 * swing * (1 if front == "R" else -1)  # the chest turns against the legs
        told["torso.rot"] = float(np.clip(turn, -15, 15))
        if self.steps.lean:
            lean = np.degrees(hinges[DOF["spine2.flex"]]) / 0.35 + 0.6 * self.steps.lean
            told["torso.flex"] = float(np.clip(lean, -40, 90))
        return apply_dofs(hinges, told)

    def _knot(
        self,
        contacts: dict[str, Place],
        swing_side: str,
        toward: str,
        share: float,
        amount: float,
        front: str = "",
    ) -> Knot:
        e, body = self.e, self.e.body
        yaw = middle_yaw([c.yaw for c in contacts.values()])
        at, ground = self._root(contacts, toward, share)
        hinges = self._posture(front or toward, amount)
        turn = rot.multiply(
            rot.yaw_quat(yaw), rot.axis_angle([0, 1, 0], np.radians(0.4 * self.steps.lean))
        )
        tall = self._height(contacts, ground)
        qpos = within_limits(join_qpos([*at, tall], turn, hinges))
        wishes = Wishes(qpos, root_cost=(0, 0, 4, 3, 3, 3), com_cost=(4, 4, 0))
        wishes.com = np.array([*self._weight(contacts, toward, share), 0.0])
        wishes.posture_cost = leg_costs(0.03)
        for part, place in contacts.items():
            wishes.bodies[f"{FOOT_FAMILY[part]}_ankle"] = Frame(*place.ankle(body))
            if place.pitch > 0:
                wishes.qpos[7 + DOF[f"{FOOT_FAMILY[part]}_foot.ext"]] = place.pitch
        start = e.knots[-1].qpos.copy()
        start[:3] += qpos[:3] - start[:3]
        start[3:7] = qpos[3:7]
        solved = e.solver.solve(start, wishes, 20)
        centre = np.array(wishes.com[:2])
        return Knot(0.0, solved, dict(contacts), centre, gait=True, wishes=wishes)

    def _weight(self, contacts: dict[str, Place], toward: str, share: float) -> Array:
        feet = {FOOT_FAMILY[p]: c.centre(self.e.body) for p, c in contacts.items()}
        if len(feet) == 1:
            return next(iter(feet.values()))
        other = "R" if toward == "L" else "L"
        return (1 - share) * feet[other] + share * feet[toward]

    def _lifted(self, contacts: dict[str, Place], side: str, span: float) -> Knot:
        """The middle of a marching step: the thigh raised."""
        e = self.e
        other = "R" if side == "L" else "L"
        knot = self._knot(contacts, side, other, 1.0, 0.6, front=side)
        knee = self.steps.knee
        told = {f"{side}_hip.flex": knee, f"{side}_knee.flex": knee + 8, f"{side}_ankle.dorsi": 0}
        wishes = knot.wishes
        assert wishes is not None
        wishes.qpos[7:] = apply_dofs(wishes.qpos[7:], told)
        cost = leg_costs(0.03)
        for name in told:
            cost[DOF[name]] = 1.0
        wishes.posture_cost = cost
        knot.qpos = e.solver.solve(knot.qpos, wishes, 25)
        knot.span, knot.exact, knot.through = span, True, True
        return knot


def _part(contacts: dict[str, Place], side: str) -> str:
    for part in contacts:
        if FOOT_FAMILY[part] == side:
            return part
    return next(iter(contacts))


def middle_yaw(yaws: list[float]) -> float:
    """The heading between headings, wherever the circle is cut."""
    near = yaws[0]
    return float(np.mean([near + (yaw - near + np.pi) % (2 * np.pi) - np.pi for yaw in yaws]))


def leg_costs(legs: float, upper: float = 0.3) -> Array:
    """Posture weights that leave the legs to the footholds, `[47]`."""
    cost = np.full(47, upper)
    for name, index in DOF.items():
        if any(word in name for word in ("_hip", "_knee", "_ankle")):
            cost[index] = legs
    return cost


def arms_free(hinges: Array, neutral: Array) -> list[str]:
    """Sides whose arm hangs, and so may swing; an arm that does something is left alone."""
    found = []
    for side in "LR":
        rows = [DOF[f"{side}_shoulder.{d}"] for d in ("flex", "abd")]
        if np.abs(np.degrees(hinges[rows] - neutral[rows])).max() < 25:
            found.append(side)
    return found
