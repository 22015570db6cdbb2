"""Secondary motion: breathing, a little sway, eyes that arrive first; laid on when asked for.

The one thing to know: it is additive and procedural, moves only what stands on nothing (trunk,
collars, neck, head), and is the same for the same seed; a motion that was filled without it stays
as it was.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .body import DOF, DOF_HIGH, DOF_LOW
from .clip import MotionClip
from .rotations import Array

BREATHS = 0.25
"""Breaths a second, at rest."""
BREATH = {"spine2.flex": -0.7, "spine3.flex": -0.9, "L_collar.elev": 1.2, "R_collar.elev": 1.2,
          "neck.flex": 0.9}  # fmt: skip
"""Degrees at the height of a breath; the neck holds the eyes level."""
SWAY = {"spine1.lat": 0.5, "spine2.rot": 0.4, "head.lat": -0.5, "head.rot": 0.9}
"""Degrees of slow wander, one standard deviation."""
LEAD = 0.08
"""Seconds by which neck and head run ahead of the trunk."""


def liven(clip: MotionClip, amount: float = 1.0, seed: int = 0) -> MotionClip:
    """A copy of a kinematic clip that breathes, sways, and looks before it turns.

    Args:
        clip: Filled, not yet tracked.
        amount: 0 leaves everything as it is; 1 is an adult at rest.
        seed: Of the phase of the breath and of the sway.

    Raises:
        ValueError: The amount is not between 0 and 3.
    """
    if not 0 <= amount <= 3:
        raise ValueError(f"amount is {amount}; expected 0 (none) to 3")
    if amount == 0 or len(clip) < 3:
        return clip
    random = np.random.default_rng(seed)
    qpos = clip.qpos.copy()
    hinges = qpos[:, 7:]
    _lead(hinges, LEAD * amount * clip.fps)
    phase = 2 * np.pi * (BREATHS * clip.times + random.random())
    breath = 0.5 - 0.5 * np.cos(phase)
    for name, degrees in BREATH.items():
        hinges[:, DOF[name]] += np.radians(amount * degrees) * (breath - breath[0])
    for name, degrees in SWAY.items():
        slow = gaussian_filter1d(random.normal(size=len(clip)), 0.6 * clip.fps, mode="wrap")
        slow = (slow - slow[0]) / max(float(slow.std()), 1e-9)
        hinges[:, DOF[name]] += np.radians(amount * degrees) * slow
    np.clip(hinges, DOF_LOW, DOF_HIGH, out=hinges)
    return clip.with_(qpos=qpos)


def _lead(hinges: Array, frames: float) -> None:
    """Neck and head turn some frames earlier, in place."""
    at = np.arange(len(hinges), dtype=float)
    for name in ("neck.rot", "head.rot", "neck.flex", "head.flex"):
        column = DOF[name]
        hinges[:, column] = np.interp(at + frames, at, hinges[:, column])
