"""From places of joints to a clip: what a skeleton without rotations leaves to guess.

The one thing to know: bones give two of the three angles of a joint; the third, the turn about the
bone, follows from where the next bone bends to, and is guessed where nothing bends.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..body import PARENTS, body_of
from ..clip import MotionClip, Report
from ..kinematics import join_qpos
from .retarget import (
    Array,
    bend_in_plane,
    fitted_shape,
    frame,
    hinges_along,
    length,
    local_turns,
    on_floor,
    shortest,
)


def from_positions(joints: Array, fps: float, text: str = "") -> MotionClip:
    """A clip from places of our 22 joints alone; turns about a bone's own axis are guessed.

    Args:
        joints: File frame, metres, [T, 22, 3].
        fps: Frames per second.
        text: What it shows.
    """
    joints = np.asarray(joints, float)
    if joints.ndim != 3 or joints.shape[1:] != (22, 3) or not np.isfinite(joints).all():
        raise ValueError(f"joints have shape {list(joints.shape)}; expected [T, 22, 3], all finite")
    places = rot.from_file(joints)
    bone = {j: np.median(length(places[:, j] - places[:, PARENTS[j]])) for j in range(1, 22)}
    body = body_of(fitted_shape(bone))
    goal = np.empty((len(places), 22, 4))
    hips, shoulders = places[:, 1] - places[:, 2], places[:, 16] - places[:, 17]
    goal[:, 0] = frame(up=places[:, 3] - places[:, 0], left=hips)
    goal[:, 3] = frame(up=places[:, 6] - places[:, 3], left=hips + shoulders)
    goal[:, 6] = frame(up=places[:, 9] - places[:, 6], left=hips + shoulders)
    goal[:, 9] = frame(up=places[:, 12] - places[:, 9], left=shoulders)
    for joint in (12, 13, 14, 15, 1, 2, 16, 17, 4, 5, 18, 19, 7, 8, 10, 11, 20, 21):
        above = goal[:, PARENTS[joint]]
        child = next((c for c in range(22) if PARENTS[c] == joint), None)
        if child is None:
            goal[:, joint] = above
            continue
        now = rot.rotate(above, body.offsets[child])
        goal[:, joint] = rot.multiply(shortest(now, places[:, child] - places[:, joint]), above)
    bend_in_plane(goal, places, {j: j for j in range(22)})
    hinges = hinges_along(local_turns(goal))
    qpos = join_qpos(places[:, 0], rot.continuous(goal[:, 0]), hinges)
    qpos, shift = on_floor(qpos, body)
    notes = [
        "made from joint positions; turns about the bones are guessed",
        f"moved vertically by {100 * shift:.1f} cm so that the feet meet the floor",
    ]
    return MotionClip(
        fps=fps, qpos=qpos, shape=body.shape, source="imported", text=text,
        report=Report(notes=notes),
    )  # fmt: skip
