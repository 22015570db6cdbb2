"""Flights: jumps, leaps and hops, from crouch to landing.

The one thing to know: the pelvis leaves the ground with v₀ = √(2 g h) upwards and returns along a
parabola; what the plan calls its ballistic key is the pose after the landing. Push-off, flight and
landing get knots of their own with exact times.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .. import rotations as rot
from ..body import DOF
from ..kinematics import join_qpos
from ..plan import Keyframe
from ..pose import apply_dofs
from ..rotations import Array
from .knots import FOOT_FAMILY, Knot, Place
from .solver import Frame, Wishes, within_limits

if TYPE_CHECKING:
    from .expand import Expander

GRAVITY = 9.81
CROUCH = 0.17  # metres the pelvis must be below standing before the push
DEFAULT_APEX = 0.15
_ARMS = [i for name, i in DOF.items() if "shoulder" in name or "elbow" in name]
LAND = {"B_hip.flex": 22, "B_knee.flex": 34, "B_ankle.dorsi": 6}


def fly(expander: Expander, key: Keyframe, hinges: Array) -> None:
    """Append crouch (if missing), take-off, flight and landing, and the pose of the key."""
    e = expander
    apex = key.root.height if key.root.height is not None else DEFAULT_APEX
    if not 0 < apex <= 1.2:
        raise ValueError(
            f"key {key.id!r} jumps {apex} m high; expected more than 0 and at most 1.2 m"
        )
    stand = float(e.stance.root_pos[2])
    last = e.knots[-1]
    feet = last.feet()
    ground = float(np.mean([p.position[2] for p in feet.values()])) if feet else 0.0
    leaving, swings = _leaving(e, hinges)
    if last.qpos[2] > ground + stand - 0.7 * CROUCH:
        e.knots.append(_crouched(e, last, ground + stand - CROUCH, leaving))
        last = e.knots[-1]
    take_off = stand - 0.02 * e.body.scale  # legs nearly straight, soles down
    start_home = e.home.copy()
    turn = float(np.radians(key.root.yaw_deg + key.root.spin_deg))
    e.home = e.home + _turn2(e.yaw) @ np.array(key.root.travel)
    yaw = e.yaw
    e.yaw = yaw + turn
    contacts, _ = e.contacts_of(key.model_copy(update={"contacts": key.contacts}), hinges)
    contacts = _new_places(e, contacts, hinges, start_home, turn, feet)
    level = float(np.mean([p.position[2] for p in contacts.values()])) if contacts else ground
    speed = np.sqrt(2 * GRAVITY * apex)
    drop = level - ground
    fall = speed**2 - 2 * GRAVITY * drop
    if fall <= 0:
        raise ValueError(
            f"key {key.id!r} lands {drop:.2f} m up but jumps only {apex:.2f} m; raise root.height"
        )
    air = (speed + np.sqrt(fall)) / GRAVITY
    forward = float(np.hypot(*key.root.travel))
    take_off -= 0.08 * min(forward, 0.8)
    off = _stretched(e, last, ground + take_off, yaw, leaving, forward, swings)
    rise = e.solver.com(off.qpos)[2] - e.solver.com(last.qpos)[2]
    off.span, off.speed = float(np.clip(2.1 * rise / speed, 0.14, 0.5)), float(speed)
    e.knots.append(off)
    down = _landing(e, contacts, hinges, level + take_off, swings)
    down.span, down.speed, down.flight = air, float(-np.sqrt(fall)), True
    down.spin = turn
    top = _air(off, down, hinges, apex, float(speed), swings)
    down.span, down.spin, top.spin = air - top.span, turn / 2, turn / 2
    e.knots += [top, down]
    e.feet |= down.feet()
    soft = _crouched(e, down, level + stand - 0.7 * CROUCH - 0.25 * apex, hinges)
    soft.gait = True
    soft.span, soft.minimum, soft.exact = float(np.clip(0.16 + 0.4 * apex, 0.18, 0.4)), 0.15, True
    e.knots.append(soft)
    final = e.pose(key, hinges, contacts)
    final.span, final.key, final.ease, final.hold = 0.5, key.id, "smooth", key.hold
    final.minimum = 0.35
    e.knots.append(final)


def _new_places(
    e: Expander,
    contacts: dict[str, Place],
    hinges: Array,
    start: Array,
    turn: float,
    feet: dict[str, Place],
) -> dict[str, Place]:
    """Feet land where they left, moved and turned with the body; wider or closer if posed so."""
    found = dict(contacts)
    travel = e.home - start
    spread = abs(np.degrees(hinges[DOF["L_hip.abd"]]) - np.degrees(e.hinges[DOF["L_hip.abd"]])) > 3
    for part in contacts:
        if part not in FOOT_FAMILY:
            continue
        side = FOOT_FAMILY[part]
        if spread or side not in feet:
            found[part] = e.under(side, hinges)
            continue
        at = start + travel + _turn2(turn) @ (feet[side].position[:2] - start)
        place = e.ground(at, feet[side].yaw + turn)
        # landing exactly where it left would read as never having left
        found[part] = replace(place, position=place.position + np.array([2e-6, 0, 0]))
    return found


def _crouched(e: Expander, knot: Knot, height: float, hinges: Array) -> Knot:
    """The same contacts with the pelvis low and the trunk a little forward."""
    arms = _arms(hinges, {})
    qpos = knot.qpos.copy()
    told = {"B_hip.flex": 55, "B_knee.flex": 70, "B_ankle.dorsi": 24}
    qpos[7:] = apply_dofs(arms, _carrying(told, knot.contacts))
    qpos[7:] = apply_dofs(qpos[7:], {"torso.flex": 12, "B_shoulder.flex": -25})
    qpos[2] = height
    qpos[3:7] = rot.multiply(rot.yaw_quat(knot.yaw()), rot.axis_angle([0, 1, 0], np.radians(12.0)))
    return _solved(e, knot.contacts, qpos, 0.45)


def _leaving(e: Expander, hinges: Array) -> tuple[Array, bool]:
    """The posture to push off with, and whether the arms are free to swing along.

    Arms that the key lowers from overhead wait for the flight: fallen during the push, they would
    take it away from the body.
    """
    now, wanted = e.hinges[_ARMS], hinges[_ARMS]
    if np.abs(np.degrees(wanted - now)).max() < 40:
        return hinges, True
    found = hinges.copy()
    found[_ARMS] = now
    return found, False


def _stretched(
    e: Expander,
    knot: Knot,
    height: float,
    yaw: float,
    hinges: Array,
    forward: float,
    swings: bool,
) -> Knot:
    """Take-off: legs straight, arms swung forward. Upwards the soles carry until the end."""
    # a leap forward ends on the toes: the body is ahead of the feet by then
    pitch = float(np.clip(1.1 * (forward - 0.1), 0.0, 0.6))
    part = "toes" if pitch > 0.08 else "foot"
    contacts = {f"{s}_{part}": replace(place, pitch=pitch) for s, place in knot.feet().items()}
    qpos = knot.qpos.copy()
    told = {"B_hip.flex": 9, "B_knee.flex": 14, "B_ankle.dorsi": 5, "torso.flex": 2}
    told = _carrying(told, contacts)
    arms = {"B_shoulder.flex": 45} if swings else {}
    qpos[7:] = apply_dofs(_arms(hinges, arms), told)
    qpos[2] = height
    qpos[3:7] = rot.yaw_quat(yaw)
    found = _solved(e, contacts, qpos, 0.2)
    found.exact, found.gait = True, True
    return found


def _air(off: Knot, down: Knot, hinges: Array, apex: float, speed: float, swings: bool) -> Knot:
    """The top of the flight: legs drawn up."""
    tuck = min(apex, 0.3)
    told = {"B_hip.flex": 14 + 175 * tuck, "B_knee.flex": 24 + 275 * tuck, "B_ankle.dorsi": 0}
    told = _carrying(told, down.contacts)
    qpos = (off.qpos + down.qpos) / 2
    half = rot.yaw_quat(np.float64(off.yaw() + down.spin / 2))
    qpos[3:7] = half
    posture = _arms(hinges, {"B_shoulder.flex": 60} if swings else {})
    if not swings:  # arms on their way elsewhere are half there
        posture[_ARMS] = (off.qpos[7:][_ARMS] + hinges[_ARMS]) / 2
    qpos[7:] = apply_dofs(posture, told)
    qpos[2] = off.qpos[2] + apex
    top = Knot(speed / GRAVITY, within_limits(qpos), {}, (off.centre + down.centre) / 2)
    top.flight, top.exact, top.gait = True, True, True
    return top


def _landing(
    e: Expander, contacts: dict[str, Place], hinges: Array, height: float, swings: bool
) -> Knot:
    """Touch-down: knees a little bent."""
    touching = {p: replace(c, pitch=0.0) for p, c in contacts.items() if p in FOOT_FAMILY}
    told = _carrying(LAND, touching) | {"torso.flex": 6}
    if swings:
        told["B_shoulder.flex"] = 25
    posture = apply_dofs(_arms(hinges, {}), told)
    at = np.array([*e.home, height])
    found = _solved(e, touching, join_qpos(at, rot.yaw_quat(np.float64(e.yaw)), posture), 0.3)
    found.exact, found.gait = True, True
    return found


def _carrying(told: dict[str, float], contacts: dict[str, Place]) -> dict[str, float]:
    """Angles told of both legs, for those that stand only; a free leg stays as the key has it."""
    sides = {FOOT_FAMILY[p] for p in contacts if p in FOOT_FAMILY} or {"L", "R"}
    return {
        f"{side}{name[1:]}" if name.startswith("B_") else name: value
        for name, value in told.items()
        for side in (sides if name.startswith("B_") else " ")
    }


def _solved(e: Expander, contacts: dict[str, Place], qpos: Array, span: float) -> Knot:
    qpos = within_limits(qpos)
    wishes = Wishes(qpos, root_cost=(0, 0, 6, 2, 2, 3))
    feet = {FOOT_FAMILY[p]: c for p, c in contacts.items() if p in FOOT_FAMILY}
    centre = np.mean([p.centre(e.body) for p in feet.values()], axis=0) if feet else e.home
    wishes.com = np.array([*centre, 0.0])
    for side, place in feet.items():
        wishes.bodies[f"{side}_ankle"] = Frame(*place.ankle(e.body))
        if place.pitch > 0:
            wishes.qpos[7 + DOF[f"{side}_foot.ext"]] = place.pitch
    start = qpos.copy()
    solved = e.solver.solve(start, wishes, 40)
    return Knot(span, solved, dict(contacts), np.asarray(centre), wishes=wishes, through=True)


def _arms(hinges: Array, told: dict[str, float]) -> Array:
    return apply_dofs(hinges, told) if told else hinges.copy()


def _turn2(yaw: float) -> Array:
    return np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
