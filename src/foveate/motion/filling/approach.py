"""Approach: the steps that a key needs before it can be posed.

The one thing to know: they use up the key's own travel and turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..plan import Gait, Keyframe
from .knots import FOOT_FAMILY

if TYPE_CHECKING:
    from .expand import Expander


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
