"""Checks of a plan: of its words and numbers, and of its key poses where they are realised."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from .. import rotations as rot
from ..body import DOF, DOFS, JOINTS, Body, body_of
from ..clip import MotionClip
from ..plan import Keyframe, KeyframePlan
from ..pose import Pose, expand_dof
from . import measures as m
from .clips import SELF_CM, cap_of
from .finding import Finding, ordered

SHORTEST = 0.08  # seconds between two keys
LONGEST = 3.0
PEAK = 1.875  # peak over mean speed of a minimum-jerk motion
SAME_DEG = 2.0
FLAT_DEG = 8.0
SIDE_WORDS = {"L": re.compile(r"\bleft\b"), "R": re.compile(r"\bright\b")}


def lint_plan(plan: KeyframePlan) -> list[Finding]:
    """All findings of a plan, errors first."""
    body = body_of(plan.body)
    found = [*_words(plan), *_loop(plan)]
    for key in plan.keys:
        found += [*_dof_range(key), *_side(key)]
        if isinstance(key.pose, Pose):
            found += _pose(key, key.pose, body, plan)
    for before, key in pairwise(plan.keys):
        found += [*_times(before, key), *_between(before, key), *_lift(before, key, body)]
    return ordered(found)


def _words(plan: KeyframePlan) -> list[Finding]:
    words = plan.coverage.unmatched if plan.coverage else []
    if not words:
        return []
    text = f"nothing in the plan reflects: {', '.join(words)}"
    return [Finding("S-COVER", "warn", text, value=float(len(words)), limit=0.0)]


def _dof_range(key: Keyframe) -> list[Finding]:
    found = []
    for name, value in key.dofs.items():
        for real, share in expand_dof(name):
            if real not in DOF:
                continue  # elevation, plane and axial have no range of their own
            dof, angle = DOFS[DOF[real]], value * share
            if not dof.low - 0.5 <= angle <= dof.high + 0.5:
                limit = dof.high if angle > dof.high else dof.low
                found.append(
                    Finding(
                        "J-RANGE",
                        "error" if abs(angle - limit) > 10 else "warn",
                        f"{name} = {value:.0f}° bends {real} to {angle:.0f}°, "
                        f"its range ends at {limit:.0f}°",
                        part=name,
                        key=key.id,
                        value=float(value),
                        limit=float(limit / share),
                        unit="deg",
                        fix="clamp",
                    )
                )
                break
    return [*found, *_coupled(key)]


def _coupled(key: Keyframe) -> list[Finding]:
    """Arms above 60° take the collar bone along, a third of the way, up to 25°."""
    found = []
    for name, value in key.dofs.items():
        joint, _, dof = name.partition(".")
        if (
            not joint.endswith("shoulder")
            or dof not in ("flex", "abd", "elevation")
            or value <= 100
        ):
            continue
        collar = joint.replace("shoulder", "collar") + ".elev"
        both = "B_collar.elev"
        wanted = min(25.0, (value - 60) / 3)
        if collar not in key.dofs and both not in key.dofs:
            text = f"{name} = {value:.0f}° without {collar} (about {wanted:.0f}°) looks pinned"
            found.append(
                Finding("J-COUPLED", "info", text, collar, key.id, None, 0.0, wanted, "deg", "add")
            )
    return found


def _side(key: Keyframe) -> list[Finding]:
    """One side is named, and only the other one has angles or goals."""
    text = " ".join([key.description, *key.parts.values(), *key.parts]).lower().replace("_", " ")
    named = {s for s, pattern in SIDE_WORDS.items() if pattern.search(text)}
    moved = {n[0] for n in key.dofs if n[:2] in ("L_", "R_")}
    moved |= {g.effector[0] for g in key.goals if g.effector and g.effector[:2] in ("L_", "R_")}
    if any(n.startswith("B_") for n in key.dofs):
        moved |= {"L", "R"}
    if len(named) != 1 or len(moved) != 1 or named == moved:
        return []
    word = {"L": "left", "R": "right"}
    (said,), (done,) = named, moved
    message = f"the words name the {word[said]} side, the {word[done]} side moves"
    return [Finding("LR", "warn", message, part=f"{done}_", key=key.id, fix="mirror")]


def _times(before: Keyframe, key: Keyframe) -> list[Finding]:
    dt = key.t - before.t - before.hold
    if dt < SHORTEST - 1e-9:
        text = f"{dt:.2f} s after the key before; expected at least {SHORTEST} s"
        return [Finding("T-DT", "error", text, "", key.id, None, dt, SHORTEST, "s", "spread")]
    moves = bool(key.dofs or key.goals) and key.gait is None
    if dt > LONGEST and moves:
        text = f"{dt:.1f} s without a key; expected one at least every {LONGEST:.0f} s"
        return [Finding("T-SLOW", "info", text, "", key.id, None, dt, LONGEST, "s")]
    return []


def _between(before: Keyframe, key: Keyframe) -> list[Finding]:
    """From one key to the next: the same pose, a turn that is too quick, the wrong way."""
    if key.gait is not None:
        return []
    dt = max(1e-6, key.t - before.t - before.hold)
    if isinstance(before.pose, Pose) and isinstance(key.pose, Pose):
        turn = np.degrees(rot.angle_between(before.pose.joint_quat, key.pose.joint_quat))
        moved = np.linalg.norm(key.pose.root_pos - before.pose.root_pos) > 0.01
        if turn.max() < SAME_DEG and not moved and key.root.yaw_deg == 0:
            text = f"differs from key {before.id} by less than {SAME_DEG:.0f}°"
            value = float(turn.max())
            return [
                Finding("D-DUP", "info", text, "", key.id, None, value, SAME_DEG, "deg", "merge")
            ]
        angles = dict(zip(JOINTS[1:], map(float, turn), strict=True))
        found = _wrong_way(before.pose, key, key.pose)
    else:
        angles = {n: abs(key.dofs[n] - before.dofs[n]) for n in set(before.dofs) & set(key.dofs)}
        found = []
    needed = {name: PEAK * angle / cap_of(name) for name, angle in angles.items()}
    worst = max(needed, key=needed.__getitem__, default=None)
    if worst is not None and needed[worst] > dt * 1.05:
        text = f"{worst} would turn {angles[worst]:.0f}° in {dt:.2f} s; "
        text += f"it needs {needed[worst]:.2f} s"
        found.append(
            Finding(
                "T-SPEED", "warn", text, worst, key.id, None, dt, needed[worst], "s", "slow down"
            )
        )
    return found


WAYS = (
    (re.compile(r"\b(up|upwards?|raises?d?|lifts?|lifted)\b"), 2, 1),
    (re.compile(r"\b(down|downwards?|lowers?|lowered)\b"), 2, -1),
    (re.compile(r"\b(forwards?|ahead)\b"), 0, 1),
    (re.compile(r"\b(backwards?|behind)\b"), 0, -1),
)
"""Words of direction, the axis they name as the character sees it, and its sign."""
LIMBS = {
    "left_arm": "L_wrist",
    "left_hand": "L_wrist",
    "right_arm": "R_wrist",
    "right_hand": "R_wrist",
    "left_leg": "L_ankle",
    "left_foot": "L_ankle",
    "right_leg": "R_ankle",
    "right_foot": "R_ankle",
}


def _wrong_way(before: Pose, key: Keyframe, pose: Pose) -> list[Finding]:
    """A part whose sentence names one direction and whose end goes the other way."""
    found = []
    for part, words in key.parts.items():
        said = [(axis, sign) for pattern, axis, sign in WAYS if pattern.search(words.lower())]
        if part not in LIMBS or len(said) != 1:
            continue
        (axis, sign), site = said[0], LIMBS[part]
        ends = []
        for p in (before, pose):
            place = p.sites(site)[0] - p.root_pos
            ends.append(rot.rotate(rot.yaw_quat(-rot.yaw_of(p.root_quat)), place)[axis])
        value = 100 * sign * float(ends[1] - ends[0])
        if value < -5:
            text = f"“{words[:60]}”, but {site} goes {-value:.0f} cm the other way"
            found.append(Finding("SIGN", "warn", text, part, key.id, None, value, 0.0, "cm"))
    return found


def _lift(before: Keyframe, key: Keyframe, body: Body) -> list[Finding]:
    """A foot that the key lifts while the pose before stands on both."""
    if before.contacts is None or key.contacts is None or not isinstance(before.pose, Pose):
        return []
    stood = {c.part for c in before.contacts if c.part in ("L_foot", "R_foot")}
    stands = {c.part for c in key.contacts if c.part in ("L_foot", "R_foot")}
    if len(stood) < 2 or len(stands) != 1:
        return []
    (foot,) = stands
    clip = _still(before.pose, body)
    sole = clip.sites(f"{foot[0]}_sole")[0, 0, :2]
    off = float(np.linalg.norm(m.com(clip)[0, :2] - sole) * 100)
    if off <= 8:
        return []
    text = f"lifts a foot while the weight is {off:.0f} cm beside the {foot}"
    # filling shifts the weight before the foot leaves: nothing to mend here, but worth knowing
    return [Finding("C-LIFT", "info", text, foot, key.id, None, off, 8.0, "cm")]


def _still(pose: Pose, body: Body, plan: KeyframePlan | None = None) -> MotionClip:
    return MotionClip(
        fps=30, qpos=pose.to_qpos()[None], shape=body.shape, scene=plan.scene if plan else None
    )


def _pose(key: Keyframe, pose: Pose, body: Body, plan: KeyframePlan) -> list[Finding]:
    """A realised key pose on its own."""
    clip = _still(pose, body, plan)
    found = []
    _, changed = pose.clamped()
    for name, (now, limit) in changed.items():
        if abs(now - limit) > 2:
            text = f"the pose bends {name} to {now:.0f}°, its range ends at {limit:.0f}°"
            grade = "error" if abs(now - limit) > 10 else "warn"
            found.append(
                Finding("J-RANGE", grade, text, name, key.id, None, now, limit, "deg", "clamp")
            )
    depth, pairs = m.self_depth(clip)
    if depth[0] * 100 > SELF_CM[0]:
        one, other = pairs[0]
        value = float(depth[0] * 100)
        text = f"{one} and {other} are {value:.1f} cm inside each other"
        grade = "error" if value > SELF_CM[1] else "warn"
        found.append(
            Finding("SELF", grade, text, f"{one}+{other}", key.id, None, value, SELF_CM[0], "cm")
        )
    height = float(m.clearance(clip)[0] * 100)
    flying = key.root.height_mode != "grounded"
    if height < -1.0 or (height > 1.5 and not flying):
        text = f"the lowest point is {height:+.1f} cm from the surface"
        found.append(Finding("GROUND", "warn", text, "", key.id, None, height, 0.0, "cm", "ground"))
    found += _tilted(key, clip)
    _, outside = m.balance(clip)
    if outside[0] and key.hold > 0.15:
        text = f"held for {key.hold:.1f} s with the centre of mass beside the support"
        found.append(Finding("BAL", "warn", text, "", key.id, None, key.hold, 0.15, "s"))
    return found


def _tilted(key: Keyframe, clip: MotionClip) -> list[Finding]:
    """Soles that the key plants on the floor and that do not lie flat."""
    found = []
    for contact in key.contacts or ():
        if contact.part not in ("L_foot", "R_foot") or contact.surface != "floor":
            continue
        ankle = JOINTS.index(f"{contact.part[0]}_ankle")
        up = rot.rotate(clip.rotations[0, ankle], [0.0, 0.0, 1.0])
        tilt = float(np.degrees(np.arccos(np.clip(up[2], -1, 1))))
        if tilt > FLAT_DEG:
            text = f"the planted {contact.part} is tilted by {tilt:.0f}°"
            found.append(
                Finding("FOOT", "warn", text, contact.part, key.id, None, tilt, FLAT_DEG, "deg")
            )
    return found


def _loop(plan: KeyframePlan) -> list[Finding]:
    if plan.loop is None:
        return []
    start, end = plan.key(plan.loop.start_key), plan.key(plan.loop.end_key)
    if not (isinstance(start.pose, Pose) and isinstance(end.pose, Pose)):
        return []
    angle = rot.angle_between(start.pose.joint_quat, end.pose.joint_quat)
    rms = float(np.degrees(np.sqrt((angle**2).mean())))
    if rms <= 5:
        return []
    text = f"the cycle ends {rms:.0f}° (root mean square) from where it begins"
    return [Finding("P-LOOP", "warn", text, "", end.id, None, rms, 5.0, "deg", "close")]
