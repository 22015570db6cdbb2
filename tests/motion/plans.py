"""Plans for tests, and what is measured on the clips they become."""

from __future__ import annotations

import numpy as np

from foveate.motion import KeyframePlan, Scene

SOLES = [f"{s}_{end}_{edge}" for s in "LR" for end in ("heel", "toe") for edge in ("in", "out")]


def plan(*keys, scene: str = "", **extra) -> KeyframePlan:
    """A plan that starts standing; each key takes `dt` seconds."""
    if scene:
        extra["scene"] = Scene.named(scene).to_json()
    return KeyframePlan.from_json({"keys": [{"id": "k0", "t": 0}, *keys], **extra})


WAVE = plan(
    {"dt": 0.7, "dofs": {"R_shoulder.abd": 100, "R_shoulder.rot": -60, "R_elbow.flex": 75}},
    {"dt": 0.25, "dofs": {"R_elbow.flex": 105}, "repeat_with": "k1", "times": 2},
    {"dt": 0.6, "base": "neutral"},
)
SQUAT = plan(
    {
        "dt": 1.2,
        "dofs": {"B_hip.flex": 95, "B_knee.flex": 110, "B_ankle.dorsi": 30, "B_shoulder.flex": 80},
    },
    {"dt": 1.2, "base": "neutral"},
)
KICK = plan(
    {"dt": 0.6, "dofs": {"R_hip.flex": 70, "R_knee.flex": 10}, "contacts": ["L_foot"], "hold": 0.3},
    {"dt": 0.7, "base": "neutral", "contacts": ["L_foot", "R_foot"]},
)
WALK = plan({"dt": 3, "gait": {"kind": "walk", "steps": 4}})


def planted_slide(clip) -> float:
    """Furthest that a sole corner moves while its whole foot is planted, metres."""
    worst = 0.0
    for side in "LR":
        flat = clip.contacts[f"{side}_foot"]
        corners = clip.sites(*[name for name in SOLES if name[0] == side])
        for run in np.split(np.arange(len(clip)), np.flatnonzero(np.diff(flat.astype(int))) + 1):
            # the first and last frames of a contact are where the foot rolls
            inner = run[1:-1]
            if flat[run[0]] and len(inner) > 2:
                held = corners[inner]
                worst = max(worst, float(np.abs(held - held[0])[..., :2].max()))
    return worst


def sunk(clip) -> float:
    """Deepest sole corner below the surface, metres."""
    points = clip.sites(*SOLES)
    ground = (clip.scene or Scene()).height(points[..., :2])
    below = ground - points[..., 2]
    return float(below[below < 0.3].max())
