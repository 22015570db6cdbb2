"""Cleaning: the last centimetre of a foot that slid while it stood, taken away by the legs' angles.

The one thing to know: this is kinematics over a simulated clip, and is told: `report.cleaned_cm` is
the largest way a foot was moved, a note says so, and nothing is kept that sinks or slides more than
before. Feet within the target are left as the simulation put them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..check import measures as m
from ..check.legs import reach_ankles
from ..clip import MotionClip
from ..rotations import Array

SLIDE = 0.009  # metres: what slides less is left alone
MOST = 0.06  # metres: what slides more is no stand
FADE = 0.15  # seconds before and after the stand over which a foot comes back to its own way


def clean(clip: MotionClip) -> MotionClip:
    """The clip with its sliding feet held where they mostly stood; itself if nothing slides."""
    touching = m.foot_contacts(clip)
    found = [s for s in m.slides_of(clip, touching) if SLIDE < s[2] <= MOST]
    if not found:
        return clip
    before = _flaws(clip)
    ankles = {side: clip.joints[:, 7 + row].copy() for row, side in enumerate("LR")}
    moved = 0.0
    for part, (first, last), _ in found:
        shift = _shift(clip, touching, part[0], first, last)
        ankles[part[0]][:, :2] += shift
        moved = max(moved, float(np.linalg.norm(shift, axis=1).max()))
    made = reach_ankles(clip, ankles)
    after = _flaws(made)
    if after[0] >= before[0] or after[1] > max(before[1], 0.01):
        return clip
    note = (
        f"cleaned: feet that slid up to {100 * before[0]:.1f} cm while they stood were moved by at "
        f"most {100 * moved:.1f} cm after the simulation"
    )
    report = replace(
        clip.report,
        cleaned_cm=round(100 * moved, 3),
        notes=[*clip.report.notes, note],
    )
    return made.with_(report=report)


def _flaws(clip: MotionClip) -> tuple[float, float]:
    """Largest slide and deepest sinking, metres."""
    slides = [drift for _, _, drift in m.slides_of(clip)]
    return max(slides, default=0.0), float(max(0.0, -m.clearance(clip).min()))


def _shift(clip: MotionClip, touching: np.ndarray, side: str, first: int, last: int) -> Array:
    """How far a foot has to move along the ground, `[T, 2]`, for the end that stands to stand."""
    heel = 2 * "LR".index(side)
    points = m.foot_points(clip)[..., :2]
    stands = touching[first : last + 1, heel : heel + 2].sum(axis=0)
    point = heel + int(stands[1] > stands[0])  # the end that stands longer
    rows = np.flatnonzero(touching[first : last + 1, point]) + first
    path = points[:, point]
    anchor = np.median(path[rows], axis=0)
    shift = np.zeros((len(clip), 2))
    begin, end = int(rows[0]), int(rows[-1])
    shift[begin : end + 1] = anchor - path[begin : end + 1]
    fade = max(2, round(FADE * clip.fps))
    for k in range(1, fade + 1):
        weight = 1 - k / (fade + 1)
        weight = weight * weight * (3 - 2 * weight)
        if begin - k >= 0:
            shift[begin - k] = shift[begin] * weight
        if end + k < len(shift):
            shift[end + k] = shift[end] * weight
    return shift
