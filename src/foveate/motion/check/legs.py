"""Legs: thighs and shanks that bring the ankles to given places, in closed form.

The one thing to know: two segments and a distance make a triangle, so the knee's angle follows from
the law of cosines; the thigh then turns by the shortest way, and the foot keeps its orientation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import rotations as rot
from ..body import DOF_HIGH, DOF_LOW, JOINT, JOINT_DOFS
from ..clip import MotionClip
from ..kinematics import hinges_to_quats, quats_to_hinges


def reach_ankles(clip: MotionClip, ankles: dict[str, np.ndarray]) -> MotionClip:
    """The clip with its ankles at `ankles` (side → [T, 3]); the pelvis and the rest stay.

    A place farther than the leg is long is approached as far as the leg goes.
    """
    body, local = clip.body, hinges_to_quats(clip.qpos[:, 7:])
    hinges = clip.qpos[:, 7:].copy()
    for side, target in ankles.items():
        hip, knee, ankle = (JOINT[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh, shank = body.offsets[knee], body.offsets[ankle]
        a, b = np.linalg.norm(thigh), np.linalg.norm(shank)
        pelvis, foot = clip.rotations[:, 0], clip.rotations[:, ankle]
        want = rot.rotate(rot.inverse(pelvis), target - clip.joints[:, hip])
        far = np.clip(np.linalg.norm(want, axis=1), abs(a - b) + 0.01, 0.999 * (a + b))
        flex = np.pi - np.arccos(np.clip((a * a + b * b - far**2) / (2 * a * b), -1, 1))
        new_knee = rot.axis_angle([0.0, 1.0, 0.0], flex)
        now = thigh + rot.rotate(new_knee, shank)  # from the hip, with the thigh at rest
        old = local[:, hip - 1]
        turned = rot.rotate(old, now)
        new_hip = rot.multiply(_shortest(turned, want), old)
        above = rot.multiply(pelvis, rot.multiply(new_hip, new_knee))
        quats = local.copy()
        quats[:, hip - 1], quats[:, knee - 1] = new_hip, new_knee
        quats[:, ankle - 1] = rot.multiply(rot.inverse(above), foot)
        found = quats_to_hinges(quats, hinges)
        rows = [i for joint in (hip, knee, ankle) for i in JOINT_DOFS[joint]]
        hinges[:, rows] = np.clip(found, DOF_LOW, DOF_HIGH)[:, rows]
    return replace(clip, qpos=np.concatenate([clip.qpos[:, :7], hinges], axis=1))


def _shortest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shortest rotations [T, 4] from a to b [T, 3]."""
    axis = np.cross(a, b)
    sine, cosine = np.linalg.norm(axis, axis=1), (a * b).sum(1)
    return rot.axis_angle(axis / np.maximum(sine, 1e-12)[:, None], np.arctan2(sine, cosine))
