"""Running and hopping: steps with a flight between them.

The one thing to know: a step is stance (the foot down, the pelvis dips) and flight (a parabola of
g·T/2 vertical speed). Nothing is planted while the body flies; the weight moves evenly forward.
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

GRAVITY = 9.81


def run(
    e: Expander, gait: Gait, steps: Steps, holds: list[tuple[str, Place]], hinges: Array
) -> None:
    """Append the knots of a run along its footholds."""
    from .stepping import FIRST_SHIFT, LAST_SHIFT, arms_free

    flight = -steps.double
    stance = max(0.14, steps.swing - 2 * flight)
    speed = GRAVITY * flight / 2
    free = arms_free(hinges, e.neutral)
    hop = gait.kind == "hop"
    if hop:
        support = holds[0][0]
        holds = [(support, place) for _, place in holds[: len(holds) - gait.finish]]
    stand = _both(e)
    first = holds[0][0]
    push = "R" if first == "L" else "L"
    if hop:
        push = first
    ready = _knot(e, steps, stand, hinges, free, "", low=0.05, toward=push)
    ready.span, ready.exact, ready.through = FIRST_SHIFT / e.style.tempo, True, True
    e.knots.append(ready)
    planted = {f"{push}_foot": stand[f"{push}_foot"]}
    off = _knot(e, steps, planted, hinges, free, first, low=0.0, toes=True)
    off.span, off.exact, off.through, off.speed = 0.3, True, True, speed
    e.knots.append(off)
    for index, (side, place) in enumerate(holds):
        last = index == len(holds) - 1
        other = "R" if side == "L" else "L"
        swinging = side if hop else other
        planted = {f"{side}_foot": place}
        down = _knot(e, steps, planted, hinges, free, "" if hop else side, low=0.02)
        down.span, down.flight, down.speed = flight, True, -speed
        down.exact, down.through = True, True
        e.knots.append(down)
        e.feet[side] = place
        if last:
            break
        off = _knot(e, steps, planted, hinges, free, "" if hop else swinging, low=0.0, toes=True)
        off.span, off.exact, off.through, off.speed = stance, True, True, speed
        e.knots.append(off)
    # come to rest: the other foot joins the last
    side, place = holds[-1]
    other = "R" if side == "L" else "L"
    across = (1 if other == "L" else -1) * steps.width
    sideways = np.array([-np.sin(place.yaw), np.cos(place.yaw)])
    joined = e.ground(place.position[:2] + across * sideways + 0.02 * place.forward(), place.yaw)
    both = {f"{side}_foot": place, f"{other}_foot": joined}
    low = _knot(e, steps, both, hinges, free, "", low=0.08, toward=side)
    low.span, low.exact, low.through, low.lift = 0.35, True, True, 0.06
    rest = _knot(e, steps, both, hinges, free, "", low=0.0)
    rest.span, rest.exact = LAST_SHIFT / e.style.tempo + 0.2, True
    e.knots += [low, rest]
    e.feet |= rest.feet()
    e.home = np.mean([p.position[:2] for p in both.values()], axis=0)


def _both(e: Expander) -> dict[str, Place]:
    feet = dict(e.knots[-1].feet())
    for side in "LR":
        if side not in feet:
            feet[side] = e.feet.get(side) or e.under(side, e.neutral)
    return {f"{side}_foot": replace(place, pitch=0.0) for side, place in feet.items()}


def _knot(
    e: Expander,
    steps: Steps,
    contacts: dict[str, Place],
    hinges: Array,
    free: list[str],
    front: str,
    low: float,
    toes: bool = False,
    toward: str = "",
) -> Knot:
    """One instant of a run; `front` is the leg that is or swings ahead ("" for neither)."""
    feet = {FOOT_FAMILY[p]: c for p, c in contacts.items()}
    from .stepping import leg_costs, middle_yaw

    swing = steps.arms if front else 0.0
    told: dict[str, float] = {"torso.flex": 0.5 * steps.lean + 3}
    for side in free:
        ahead = 1 if front and side != front else -1
        told[f"{side}_shoulder.flex"] = 12 + 30 * ahead * min(swing, 1.4)
        told[f"{side}_elbow.flex"] = 75 if front else 40
    if len(feet) == 1:
        standing = next(iter(feet))
        air = "R" if standing == "L" else "L"
        lifted = max(steps.knee, 38 if steps.length > 0.6 else 28)
        if front == air:  # taking off: the free thigh drives forward
            told |= {f"{air}_hip.flex": lifted, f"{air}_knee.flex": lifted + 22}
        else:  # just landed: the free leg trails
            told |= {f"{air}_hip.flex": -6, f"{air}_knee.flex": 62}
        told[f"{air}_ankle.dorsi"] = 0
    posture = apply_dofs(hinges, told)
    yaw = middle_yaw([p.yaw for p in feet.values()])
    middle = np.mean([p.position[:2] for p in feet.values()], axis=0)
    ground = float(np.mean([p.position[2] for p in feet.values()]))
    ahead = np.array([np.cos(yaw + steps.direction), np.sin(yaw + steps.direction)])
    shift = 0.0
    if len(feet) == 1:
        shift = (0.2 if toes else -0.1) * steps.length
    if toward and len(feet) == 2:
        middle = 0.35 * middle + 0.65 * feet[toward].position[:2]
    turn = rot.multiply(rot.yaw_quat(yaw), rot.axis_angle([0, 1, 0], np.radians(0.5 * steps.lean)))
    height = ground + float(e.stance.root_pos[2]) - low - 0.02 - steps.crouch
    qpos = within_limits(join_qpos([*(middle + shift * ahead), height], turn, posture))
    wishes = Wishes(qpos, root_cost=(0, 0, 4, 3, 3, 3))
    centre = np.mean([p.centre(e.body) for p in feet.values()], axis=0)
    if toward and len(feet) == 2:
        centre = 0.35 * centre + 0.65 * feet[toward].centre(e.body)
    wishes.com = np.array([*(centre + shift * ahead), 0.0])
    placed = {}
    for part, place in contacts.items():
        side = FOOT_FAMILY[part]
        rolled = replace(place, pitch=np.radians(24.0)) if toes else place
        placed[f"{side}_toes" if toes else part] = rolled
        wishes.bodies[f"{side}_ankle"] = Frame(*rolled.ankle(e.body))
        if rolled.pitch > 0:
            wishes.qpos[7 + DOF[f"{side}_foot.ext"]] = rolled.pitch
        cost = leg_costs(0.3)
        for name in ("hip.flex", "hip.abd", "hip.rot", "knee.flex", "ankle.dorsi", "ankle.inv"):
            cost[DOF[f"{side}_{name}"]] = 0.03
        wishes.posture_cost = cost
    solved = e.solver.solve(qpos, wishes, 25)
    return Knot(0.0, solved, placed, np.asarray(wishes.com[:2]), gait=True, wishes=wishes)
