"""Height map: what lies around the feet, as a short vector (o_t of the paper).

16 × 16 cells over 1.6 m × 1.6 m, centred on the pelvis and turned with it, relative to the height
of the pelvis less what it is at rest, clipped to ±1 m. (The paper does not give its resolution.)
"""

from __future__ import annotations

import numpy as np

from ..body import BODY
from ..rotations import Array, yaw_of
from ..scene import Scene

CELLS, SIDE = 16, 1.6
_LINE = (np.arange(CELLS) + 0.5) / CELLS * SIDE - SIDE / 2
_GRID = np.stack(np.meshgrid(_LINE, _LINE, indexing="ij"), axis=-1).reshape(-1, 2)


def height_map(scene: Scene | None, root_pos: Array, root_quat: Array) -> Array:
    """The surroundings of a pelvis, `[256]`; all zeros on a flat floor at rest height."""
    yaw = float(yaw_of(root_quat))
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    heights = (scene or Scene()).height(_GRID @ turn.T + np.asarray(root_pos)[:2])
    return np.clip(heights - (float(root_pos[2]) - BODY.hip_height), -1.0, 1.0)
