"""Gaits: footstep plans instead of key poses.

The one thing to know: a gait is a row of footholds along a path. Each step gives two knots, the end
of double support and the touch-down; legs follow from the footholds, arms swing against them, and
the weight is planned later over the whole motion. Running has no double support but a flight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import rotations as rot
from ..body import DOF
from ..kinematics import join_qpos
from ..plan import Gait, Keyframe
from ..pose import apply_dofs
from ..rotations import Array
from .knots import FOOT_FAMILY, Knot, Place
from .solver import Frame, Wishes, within_limits

if TYPE_CHECKING:
    from .expand import Expander

GRAVITY = 9.81
TURN_PER_STEP = np.radians(35)
FIRST_SHIFT = 0.45  # seconds to take the weight off the first foot
LAST_SHIFT = 0.45  # and to come to rest between the feet

# length, width share of the hips, swing, double support, lift, arms, lean, crouch, bounce, knee
_KINDS: dict[str, dict[str, float]] = {
    "walk": {"length": 0.48, "swing_s": 0.46, "double_s": 0.14, "lift": 0.07},
    "jog": {"length": 0.55, "swing_s": 0.36, "double_s": -0.06, "lift": 0.1, "lean_deg": 6},
    "run": {"length": 0.75, "swing_s": 0.36, "double_s": -0.1, "lift": 0.12, "lean_deg": 10},
    "march": {
        "length": 0.36, "swing_s": 0.9, "double_s": 0.3, "lift": 0.25, "knee_lift_deg": 70,
        "arm_swing": 1.6,
    },
    "tiptoe": {"length": 0.3, "swing_s": 0.5, "double_s": 0.2, "lift": 0.06, "heel_lift": 1.0},
    "sneak": {
        "length": 0.36, "swing_s": 0.65, "double_s": 0.3, "lift": 0.14, "crouch": 0.12,
        "lean_deg": 22, "arm_swing": 0.3,
    },
    "limp": {"length": 0.32, "swing_s": 0.45, "double_s": 0.25, "asymmetry": 0.5},
    "side-step": {"length": 0.3, "swing_s": 0.45, "double_s": 0.25, "direction_deg": 90},
    "back-step": {"length": 0.3, "swing_s": 0.45, "double_s": 0.25, "direction_deg": 180},
    "shuffle": {"length": 0.2, "swing_s": 0.35, "double_s": 0.2, "lift": 0.025, "arm_swing": 0.3},
    "stagger": {"length": 0.34, "swing_s": 0.45, "double_s": 0.2, "width": 0.26},
    "turn": {"length": 0.0, "swing_s": 0.42, "double_s": 0.22, "arm_swing": 0.2},
    "stairs": {"length": 0.3, "swing_s": 0.7, "double_s": 0.4, "lift": 0.1, "arm_swing": 0.5},
    "stones": {"length": 0.45, "swing_s": 0.6, "double_s": 0.4, "lift": 0.1, "arm_swing": 0.5},
    "hop": {"length": 0.25, "swing_s": 0.4, "double_s": -0.2, "lift": 0.1, "arm_swing": 0.3},
    "skip": {"length": 0.45, "swing_s": 0.4, "double_s": -0.1, "lift": 0.15, "knee_lift_deg": 50},
}  # fmt: skip
_COMMON = {
    "width": 0.17, "lift": 0.07, "knee_lift_deg": 0.0, "arm_swing": 1.0, "lean_deg": 0.0,
    "crouch": 0.0, "bounce": 0.0, "heel_lift": 0.0, "asymmetry": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Steps:
    """A gait with every number settled, in metres, seconds and radians."""

    length: float
    width: float
    swing: float
    double: float
    lift: float
    knee: float
    arms: float
    lean: float
    crouch: float
    bounce: float
    heel: float
    asymmetry: float
    direction: float


def settle(gait: Gait, expander: Expander) -> Steps:
    """The defaults of the kind, what the plan says, and the style."""
    style, scale = expander.style, expander.body.leg_length / 0.8146
    base = _COMMON | _KINDS[gait.kind]

    def told(name: str) -> float:
        value = getattr(gait, name)
        return float(base[name] if value is None else value)

    direction = gait.direction_deg or base.get("direction_deg", 0.0)
    own = gait.length is not None
    length = told("length") * (1.0 if own else scale * style.step_length)
    swing = told("swing_s") / style.tempo
    double = told("double_s") / (style.tempo if told("double_s") > 0 else 1.0)
    return Steps(
        length=length,
        width=told("width") * scale * style.step_width,
        swing=swing,
        double=double,
        lift=told("lift"),
        knee=told("knee_lift_deg"),
        arms=told("arm_swing") * style.arm_swing,
        lean=told("lean_deg"),
        crouch=told("crouch"),
        bounce=told("bounce") + style.bounce,
        heel=told("heel_lift"),
        asymmetry=told("asymmetry"),
        direction=np.radians(direction),
    )


def walk(expander: Expander, gait: Gait, hinges: Array) -> None:
    """Append the knots of a gait to the expander's, and move its home and heading."""
    steps = settle(gait, expander)
    holds = footholds(expander, gait, steps)
    if not holds:
        return
    if steps.double < 0:
        from .running import run

        run(expander, gait, steps, holds, hinges)
        return
    _Walk(expander, gait, steps, hinges).through(holds)


def footholds(expander: Expander, gait: Gait, steps: Steps) -> list[tuple[str, Place]]:
    """(side, place) of each step in order; moves the expander's home and heading to the end."""
    if gait.onto:
        return _onto(expander, gait)
    turn = np.radians(gait.turn_deg)
    by_turn = int(np.ceil(abs(turn) / TURN_PER_STEP - 1e-9))
    length = steps.length
    if gait.distance is not None and length > 0:
        count = max(1, round(gait.distance / length), by_turn) if gait.distance > 0.02 else by_turn
        length = gait.distance / max(count, 1)
    elif gait.steps is not None:
        count = max(gait.steps, by_turn if length > 0 else 0, 1)
        count = gait.steps
    else:
        count = by_turn if length == 0 else max(4, by_turn)
        count = max(count, 2) if length == 0 and turn == 0 else count
    if gait.distance is not None and gait.steps is not None:
        count, length = gait.steps, gait.distance / gait.steps
    if count == 0:
        return []
    side = _first(expander, gait, steps, turn)
    half = max(steps.width, 2 * 0.052 * expander.body.shape.height * 0.7) / 2
    sideways = abs(np.sin(steps.direction)) > 0.5
    found, home, yaw = [], expander.home.copy(), expander.yaw
    total = count + (1 if gait.finish else 0)
    closing = 0.5 if not sideways else 1.0
    rng = np.random.default_rng(expander.plan.seed + 17)
    for n in range(total):
        last = n == count
        if not last:
            yaw = yaw + turn / count
            way = yaw - turn / count / 2 + steps.direction
            home = home + length * np.array([np.cos(way), np.sin(way)])
        uneven = 0.0
        if steps.asymmetry and side == "R" and not last:
            uneven = -0.4 * steps.asymmetry * length
        jitter = expander.style.jitter + (0.06 if gait.kind == "stagger" else 0.0)
        wobble = rng.uniform(-1, 1, 2) * jitter * 0.5 * (not last)
        across = np.array([-np.sin(yaw), np.cos(yaw)]) * (half if side == "L" else -half)
        along = np.array([np.cos(yaw + steps.direction), np.sin(yaw + steps.direction)])
        at = home + across + along * uneven + wobble * [0.5, 1.0]
        if sideways and not last and n % 2 == 1:
            # feet never cross: the second foot only joins the first
            at = home + across
        found.append((side, expander.ground(at, yaw)))
        side = "R" if side == "L" else "L"
    del closing
    expander.home, expander.yaw = home, yaw
    return found


def _first(expander: Expander, gait: Gait, steps: Steps, turn: float) -> str:
    if gait.first != "auto":
        return gait.first[0].upper()
    sideways = np.sin(steps.direction)
    if abs(sideways) > 0.5:
        return "L" if sideways > 0 else "R"
    if abs(turn) > np.radians(10):
        return "L" if turn > 0 else "R"
    feet = expander.knots[-1].feet()
    if len(feet) == 2:  # the foot that lags behind goes first
        ahead = np.array([np.cos(expander.yaw), np.sin(expander.yaw)])
        behind = {s: float(p.position[:2] @ ahead) for s, p in feet.items()}
        if abs(behind["L"] - behind["R"]) > 0.05:
            return min(behind, key=lambda s: behind[s])
    return "R" if "L" in feet or not feet else "L"


def _onto(expander: Expander, gait: Gait) -> list[tuple[str, Place]]:
    """Footholds on named objects, and the second foot onto the last of them."""
    found = []
    side = "R" if gait.first in ("right", "auto") else "L"
    objects = [expander.scene[name] for name in gait.onto]
    yaw = expander.yaw
    for index, item in enumerate(objects):
        centre = np.array(item.position[:2])
        narrow = min(item.size[:2]) < 0.4
        across = np.array([-np.sin(yaw), np.cos(yaw)]) * (0.085 if side == "L" else -0.085)
        place = expander.ground(centre + (0 if narrow else across) - _back(yaw, 0.07), yaw)
        _check_reach(expander, found, place, item.name)
        found.append((side, place))
        side = "R" if side == "L" else "L"
        if index == len(objects) - 1 and gait.finish:
            half = 0.05 if narrow else 0.085
            across = np.array([-np.sin(yaw), np.cos(yaw)]) * (half if side == "L" else -half)
            if narrow:  # make room for the second foot
                first_side, first = found[-1]
                moved = centre - across - _back(yaw, 0.07)
                found[-1] = (first_side, expander.ground(moved, first.yaw))
            found.append((side, expander.ground(centre + across - _back(yaw, 0.07), yaw)))
    expander.home = np.array(objects[-1].position[:2], float)
    return found


def _back(yaw: float, by: float) -> Array:
    return by * np.array([np.cos(yaw), np.sin(yaw)])


def _check_reach(
    expander: Expander, found: list[tuple[str, Place]], place: Place, name: str
) -> None:
    before = found[-1][1] if found else None
    if before is None:
        feet = list(expander.feet.values())
        before = min(feet, key=lambda p: np.linalg.norm(p.position - place.position))
    gap = float(np.linalg.norm(place.position[:2] - before.position[:2]))
    limit = 1.05 * expander.body.leg_length
    if gap > limit:
        raise ValueError(
            f"{name!r} lies {gap:.2f} m from the foothold before; one step of this body reaches "
            f"{limit:.2f} m; put a stone between"
        )


class _Walk:
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


def approach(expander: Expander, key: Keyframe) -> list[Gait]:
    """Steps that a key needs before it can be posed.

    To a seat out of reach: turn, walk, turn. For a travel or a turn that no standing foot allows:
    steps in that direction.
    """
    if key.gait is not None or key.root.height_mode != "grounded" or not expander.knots:
        return []
    if not expander.knots[-1].feet():
        return []
    seat = _far_seat(expander, key)
    if seat is not None:
        return seat
    told = key.contacts or []
    if any(c.step is not None or c.point is not None for c in told):
        return []
    travel = np.array(key.root.travel)
    distance, turn = float(np.linalg.norm(travel)), key.root.yaw_deg
    explicit = {c.part for c in told} & set(FOOT_FAMILY)
    if (distance > 0.45 or abs(turn) > 50) and (not explicit or distance > 0.6 or abs(turn) > 50):
        # the key's own travel and turn are done by these steps
        key.root.travel, key.root.yaw_deg = (0.0, 0.0), 0.0
        direction = np.degrees(np.arctan2(travel[1], travel[0])) if distance > 0.05 else 0.0
        if distance <= 0.05:
            return [Gait(kind="turn", turn_deg=turn, distance=0.0)]
        kind = (
            "walk" if abs(direction) < 60 else "side-step" if abs(direction) < 120 else "back-step"
        )
        return [Gait(kind=kind, distance=distance, direction_deg=direction, turn_deg=turn)]
    return []


def _far_seat(expander: Expander, key: Keyframe) -> list[Gait] | None:
    for contact in key.contacts or []:
        if contact.part not in ("pelvis", "rump", "back") or contact.surface == "floor":
            continue
        if contact.surface in expander.body.contact_points:
            continue
        if contact.part in expander.knots[-1].contacts or "pelvis" in expander.knots[-1].contacts:
            return None
        item = expander.scene[contact.surface]
        front = item.world(np.array([item.size[0] / 2 + 0.2 * expander.body.scale, 0.0]))
        way = front - expander.home
        distance = float(np.linalg.norm(way))
        facing = np.radians(item.yaw_deg)
        if distance < 0.3 and abs(_wrap(facing - expander.yaw)) < np.radians(40):
            return None
        key.root.travel, key.root.yaw_deg = (0.0, 0.0), 0.0
        found = []
        heading = float(np.arctan2(way[1], way[0])) if distance >= 0.3 else expander.yaw
        first = _wrap(heading - expander.yaw)
        if abs(first) > np.radians(20) and distance >= 0.3:
            found.append(Gait(kind="turn", turn_deg=float(np.degrees(first)), distance=0.0))
        else:
            heading = expander.yaw if distance < 0.3 else heading
            first = _wrap(heading - expander.yaw)
        if distance >= 0.1:
            direct = np.degrees(_wrap(np.arctan2(way[1], way[0]) - heading))
            found.append(
                Gait(
                    kind="walk",
                    distance=distance,
                    direction_deg=float(direct) if distance < 0.3 else 0.0,
                    turn_deg=0.0 if found else float(np.degrees(first)),
                )
            )
        last = _wrap(facing - heading)
        if abs(last) > np.radians(10):
            found.append(Gait(kind="turn", turn_deg=float(np.degrees(last)), distance=0.0))
        return found
    return None


def _wrap(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)
