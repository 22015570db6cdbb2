"""Footholds: where the feet of a gait come down, step by step.

The one thing to know: steps alternate along a path that turns by at most TURN_PER_STEP at a time;
stones and stairs give the places themselves, and one out of reach is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..plan import Gait
from ..rotations import Array
from .knots import Place

if TYPE_CHECKING:
    from .expand import Expander
    from .gait import Steps

TURN_PER_STEP = np.radians(35)


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
