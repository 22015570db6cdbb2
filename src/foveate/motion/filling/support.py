"""Support: knots put in between so that weight is where it must be before a part lets go.

The one thing to know: while the parts that two knots share carry the body, the centre of mass must
be above them at both ends. Where it is not, a shifted copy of the knot goes in between (the rule
C-LIFT). Gaits and flights plan their own weight and are left alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import JOINT, Body
from ..kinematics import fk_qpos
from .knots import FOOT_FAMILY, SOFT, Knot, Place, carrying, inside, into_polygon, support_points
from .solver import Solver, Wishes

SHIFT = (0.4, 0.65)  # seconds, shortest and usual
SIT_UP = 0.8  # seconds, shortest: a trunk that rocks upright faster goes on rocking backwards
MARGIN = 0.02


def with_shifts(knots: list[Knot], solver: Solver) -> list[Knot]:
    """The knots with weight shifts where they are needed."""
    found = [knots[0]]
    for after in knots[1:]:
        before = found[-1]
        held = carrying(before, after)
        if after.flight or after.gait or not held or _lies(before) or _lies(after):
            found.append(after)
            continue
        centre = _centre(held, before, after, solver)
        first = _needs(before, held, solver)
        second = _needs(after, held, solver) and not _drops(before, after)
        if first:
            shift, after = _split(before, after, centre, solver, leaving=True)
            found.append(shift)
        if second:
            arrival, settle = _arrive(after, centre, solver)
            found += [arrival, settle]
        else:
            found.append(after)
    return found


def _drops(before: Knot, after: Knot) -> bool:
    """Whether a body goes from its toes onto both knees: the last of it is a fall, for anybody."""
    knees = {"L_knee", "R_knee"}
    return knees <= set(after.contacts) and all(part in FOOT_FAMILY for part in before.contacts)


def _lies(knot: Knot) -> bool:
    """A body on its back or belly has nothing to lean with."""
    return any(part in ("back", "belly", "chest") for part in knot.contacts)


def _centre(held: dict[str, Place], before: Knot, after: Knot, solver: Solver) -> np.ndarray:
    feet = [p for p in held if p in FOOT_FAMILY]
    if len(held) == 1 and feet:
        return held[feet[0]].centre(solver.body)
    middle = (solver.com(before.qpos)[:2] + solver.com(after.qpos)[:2]) / 2
    return into_polygon(middle, support_points(held, solver.body), 0.035)


def _needs(knot: Knot, held: dict[str, Place], solver: Solver) -> bool:
    if set(held) == set(knot.contacts):  # nothing is let go, nothing rolls
        return False
    points = support_points(held, solver.body)
    return not inside(solver.com(knot.qpos)[:2], points, MARGIN)


def _split(
    before: Knot, after: Knot, centre: np.ndarray, solver: Solver, leaving: bool
) -> tuple[Knot, Knot]:
    """A shift after `before`, taken from the time of the segment to `after`."""
    shift = _shifted(before, centre, solver)
    span = float(np.clip(0.45 * after.span, *SHIFT))
    shift.span, shift.minimum, shift.ease = span, SHIFT[0], "smooth"
    rest = max(after.span - span, min(after.span, 0.5))
    return shift, replace(after, span=rest)


def _arrive(after: Knot, centre: np.ndarray, solver: Solver) -> tuple[Knot, Knot]:
    """Touching down before the weight follows: the pose of `after` with the weight still behind."""
    arrival = _shifted(after, centre, solver)
    arrival.ease, arrival.lift = after.ease, after.lift
    span = float(np.clip(0.4 * after.span, *SHIFT))
    arrival.span = max(after.span - span, min(after.span, 0.45))
    least = SIT_UP if any(part in SOFT for part in after.contacts) else SHIFT[0]
    settle = replace(after, span=max(span, least), minimum=least, ease="smooth")
    return arrival, settle


def _shifted(knot: Knot, centre: np.ndarray, solver: Solver) -> Knot:
    """The same contacts with the weight elsewhere."""
    wishes = knot.wishes
    assert wishes is not None
    only_feet = all(part in FOOT_FAMILY for part in knot.contacts)
    moved = replace(wishes, com=np.array([*centre, 0.0]))
    seated = any(part in SOFT for part in knot.contacts)
    if not only_feet and not seated:  # on knees or hands, the pelvis goes where the weight must
        moved.root_cost = (0, 0, 2, 3, 2, 4)
        moved.com_cost = (12, 12, 0)
    if seated:
        # a seated body leans forward over its feet; the seat stays where it is
        moved.root_cost = (6, 6, 8, 1, 0.05, 1)
        moved.com_cost = (12, 12, 0)
    qpos = solver.solve(knot.qpos, moved, 40)
    if seated:
        qpos = _raised(qpos, knot, moved, solver)
    return replace(
        knot, qpos=qpos, centre=centre, key="", hold=0.0, wishes=moved, through=False, speed=0.0
    )


def _raised(qpos: np.ndarray, knot: Knot, wishes: Wishes, solver: Solver) -> np.ndarray:
    """A leaning pelvis turns its front down into what it sits on; lift it by as much."""
    rests = [part for part in ("pelvis", "rump") if part in knot.contacts]
    if not rests:
        return qpos
    surface = min(point[2] for point in knot.contacts[rests[0]].points.values())
    for _ in range(2):
        lowest = lowest_of(qpos, "pelvis", solver.body)
        if lowest > surface - 1e-3:
            break
        wishes.qpos = wishes.qpos.copy()
        wishes.qpos[2] += surface - lowest
        qpos = solver.solve(qpos, wishes, 20)
    return qpos


def lowest_of(qpos: np.ndarray, joint: str, body: Body) -> float:
    """Height of the lowest point of a segment's capsules."""
    places, turns = fk_qpos(qpos, body)
    heights = []
    for geom in body.geoms:
        if geom.joint == JOINT[joint] and geom.kind != "box":
            for end in (geom.a, geom.b):
                if end is not None:
                    at = places[geom.joint] + rot.rotate(turns[geom.joint], np.array(end))
                    heights.append(at[2] - geom.size[0])
    return float(min(heights))


def contact_polygon(contacts: dict[str, Place], body: Body) -> np.ndarray:
    """Corners of what carries the weight, `[n, 2]`, unordered."""
    return support_points(contacts, body)
