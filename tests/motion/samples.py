"""Clips for tests, made by hand from poses, without planner or physics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from foveate.motion import MotionClip, Pose, Scene

UP = {"R_shoulder.abd": 100, "R_shoulder.rot": -60, "R_elbow.flex": 75, "neck.rot": 20}
OUT = {"R_shoulder.abd": 92, "R_shoulder.rot": -60, "R_elbow.flex": 105, "torso.lat": 10}


def still(seconds: float = 0.5, fps: float = 30.0) -> MotionClip:
    """Relaxed standing."""
    count = round(seconds * fps) + 1
    qpos = np.repeat(Pose.neutral().to_qpos()[None], count, 0)
    return MotionClip(fps=fps, qpos=qpos, text="a person stands")


def wave(fps: float = 30.0, scene: str | None = None) -> MotionClip:
    """The right hand goes up, to the side, and down again; the feet stand."""
    rest = Pose.neutral()
    poses = [rest, rest.with_dofs(UP), rest.with_dofs(OUT), rest.with_dofs(UP), rest]
    rows = []
    near = rest.to_qpos()
    for a, b in pairwise(poses):
        for s in np.linspace(0, 1, round(0.5 * fps), endpoint=False):
            near = a.lerp(b, float(s)).to_qpos(near[7:])
            rows.append(near)
    stands = np.ones(len(rows), bool)
    return MotionClip(
        fps=fps,
        qpos=np.array(rows),
        contacts={"L_foot": stands, "R_foot": stands},
        keys=((0, "k0"), (len(rows) // 4, "up"), (len(rows) - 1, "end")),
        text="a person waves <b>&</b> smiles",
        scene=Scene.named(scene) if scene else None,
    )


def drift(metres: float = 0.3) -> MotionClip:
    """Standing, but the whole body slides forward: what a linter must see."""
    clip = still(1.0)
    qpos = clip.qpos.copy()
    qpos[:, 0] += np.linspace(0, metres, len(clip))
    stands = np.ones(len(clip), bool)
    return clip.with_(qpos=qpos, contacts={"L_foot": stands, "R_foot": stands})
