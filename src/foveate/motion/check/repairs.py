"""Repairs: what the findings name as `fix`, carried out on a copy.

The one thing to know: a repair changes as little as it can and never invents motion; what it cannot
mend is found again by the next `lint`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .. import rotations as rot
from ..body import DOF_HIGH, DOF_LOW
from ..clip import MotionClip
from ..exchange.retarget import hinges_along
from ..kinematics import join_qpos
from ..plan import KeyframePlan
from ..pose import Pose
from . import measures as m
from .finding import Finding


def repair_plan(plan: KeyframePlan, findings: Iterable[Finding]) -> KeyframePlan:
    """A plan with the repairable findings mended; times of later keys move along."""
    keys = [key.model_copy(deep=True) for key in plan.keys]
    by_id = {key.id: index for index, key in enumerate(keys)}
    notes = list(plan.notes)
    gone: set[str] = set()
    for f in findings:
        if f.key not in by_id or not f.fix:
            continue
        key = keys[by_id[f.key]]
        if f.code == "J-RANGE" and f.part in key.dofs:
            key.dofs[f.part] = float(f.limit)
        elif f.code == "J-RANGE" and isinstance(key.pose, Pose):
            key.pose = key.pose.clamped()[0]
        elif f.code == "J-COUPLED":
            key.dofs[f.part] = float(f.limit)
        elif f.code == "LR":
            key.dofs = {_swapped(name): value for name, value in key.dofs.items()}
            for goal in key.goals:
                goal.effector = goal.effector and _swapped(goal.effector)
            if isinstance(key.pose, Pose):
                key.pose = None  # made from the wrong side
        elif f.code in ("T-DT", "T-SPEED"):
            # never more than twice as long: what is still too fast then is too large, not too quick
            now = max(1e-3, float(f.value))
            longer = float(f.limit) if f.code == "T-DT" else min(float(f.limit), 2 * now)
            for later in keys[by_id[f.key] :]:
                later.t = round(later.t + longer - now, 6)
        elif f.code == "D-DUP":
            before = keys[by_id[f.key] - 1]
            if before.id not in gone and not key.contacts and not key.goals:
                gone.add(f.key)
        elif f.code == "P-LOOP":
            start = plan.key(plan.loop.start_key)
            key.pose, key.dofs, key.goals = start.pose, dict(start.dofs), list(start.goals)
        else:
            continue
        notes.append(f"repaired {f.code} at key {f.key}: {f.fix}")
    kept = [key for key in keys if key.id not in gone]
    return plan.model_copy(update={"keys": kept, "notes": notes})


def _swapped(name: str) -> str:
    return {"L_": "R_", "R_": "L_"}.get(name[:2], name[:2]) + name[2:]


def repair_clip(clip: MotionClip, findings: Iterable[Finding] | None = None) -> MotionClip:
    """A clip with jumps bridged, trembling smoothed, joints in range, feet pinned and lifted.

    Args:
        clip: What to mend.
        findings: Of `lint`; looked for if None.

    Returns:
        A kinematic clip; the report's notes say what was done.
    """
    from .clips import lint_clip

    findings = lint_clip(clip) if findings is None else list(findings)
    fixes = {f.fix for f in findings}
    done = []
    root, turn = clip.root_pos.copy(), rot.continuous(clip.root_quat)
    local = rot.continuous(clip.joint_quats)
    jumps = [f.frames for f in findings if f.fix == "bridge"]
    if jumps:
        _bridge(root, turn, local, jumps, clip.fps)
        done.append(f"bridged {len(jumps)} jumps")
    if "smooth" in fixes:
        width = 0.05 * clip.fps
        root, turn, local = (
            gaussian_filter1d(part, width, axis=0, mode="nearest") for part in (root, turn, local)
        )
        done.append("smoothed over 0.05 s")
    hinges = hinges_along(rot.unit(local))
    if "clamp" in fixes:
        hinges = np.clip(hinges, DOF_LOW, DOF_HIGH)
        done.append("kept joints in range")
    if not done:  # not a bit changes that need not
        turn, hinges = clip.root_quat, clip.qpos[:, 7:]
    changed = replace(clip, qpos=join_qpos(root, rot.unit(turn), hinges))
    if "pin" in fixes:
        changed, count = _pinned(changed)
        done.append(f"pinned {count} foot contacts")
    if {"lift", "lower"} & fixes:
        changed = _levelled(changed, "lower" in fixes)
        done.append("moved vertically onto the surface")
    report = replace(clip.report, notes=[*clip.report.notes, *(f"repair: {d}" for d in done)])
    return replace(changed, source="kinematic", report=report)


def _bridge(root, turn, local, jumps, fps) -> None:
    """Replace the frames around each jump by a smooth passage of 0.2 s, in place."""
    reach = max(2, round(0.1 * fps))
    last = len(root) - 1
    for first, end in jumps:
        a, b = max(0, first - reach), min(last, end + reach)
        u = np.linspace(0, 1, b - a + 1)
        s = u**3 * (10 - 15 * u + 6 * u * u)
        root[a : b + 1] = root[a] + (root[b] - root[a]) * s[:, None]
        turn[a : b + 1] = rot.slerp(turn[a], turn[b], s)
        local[a : b + 1] = rot.slerp(local[a], local[b], s[:, None])
    turn[:], local[:] = rot.continuous(turn), rot.continuous(local)


def _pinned(clip: MotionClip) -> tuple[MotionClip, int]:
    """Feet held where they stand, by turning the leg's joints; the pelvis stays."""
    from .legs import reach_ankles

    ankles = {side: clip.sites(f"{side}_ankle")[:, 0].copy() for side in "LR"}
    fade = max(2, round(0.12 * clip.fps))
    count = 0
    for part, (first, last), drift in m.slides_of(clip):
        if drift < 0.005:
            continue
        side = part[0]
        path = ankles[side]
        anchor = np.median(clip.sites(f"{side}_ankle")[first : last + 1, 0, :2], axis=0)
        before, after = anchor - path[first, :2], anchor - path[last, :2]
        path[first : last + 1, :2] = anchor
        for k in range(1, fade + 1):
            weight = 1 - k / (fade + 1)
            weight = weight * weight * (3 - 2 * weight)
            if first - k >= 0:
                path[first - k, :2] += before * weight
            if last + k < len(path):
                path[last + k, :2] += after * weight
        count += 1
    return (reach_ankles(clip, ankles), count) if count else (clip, 0)


def _levelled(clip: MotionClip, lower: bool) -> MotionClip:
    """Moved vertically so that the lowest point is on the surface where it sinks or stands."""
    gap = m.clearance(clip)
    shift = np.maximum(-gap, 0)
    if lower:
        standing = m.spans((gap > 0.0) & (gap < 0.25))
        for first, last in standing:
            shift[first : last + 1] = -gap[first : last + 1]
    smooth = gaussian_filter1d(shift, 0.04 * clip.fps, mode="nearest")
    if not lower:
        smooth = np.maximum(smooth, shift)
    qpos = clip.qpos.copy()
    qpos[:, 2] += smooth
    return replace(clip, qpos=qpos)
