"""The physics engine: the one place that imports MuJoCo.

The one thing to know: MuJoCo decides at import how it will draw, from the environment variable
MUJOCO_GL; where there is no display and nothing is set, we choose what is installed, or none (the
painter of `render` needs no OpenGL). Differences between MuJoCo 3.2 and 4 are levelled here.
"""

from __future__ import annotations

import ctypes.util
import os
import sys
from functools import lru_cache

import numpy as np

from ..env import foreign
from .rotations import Array


def _choose_gl() -> None:
    if "MUJOCO_GL" in os.environ or not sys.platform.startswith("linux"):
        return
    if foreign("DISPLAY") or foreign("WAYLAND_DISPLAY"):
        return
    for backend, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend
            return
    os.environ["MUJOCO_GL"] = "disable"


_choose_gl()

import mujoco  # noqa: E402  (after the choice above, which it reads)

__all__ = ["looks_ahead", "mass_matrix", "mujoco"]


def mass_matrix(model: mujoco.MjModel, data: mujoco.MjData) -> Array:
    """The joint-space inertia `[nv, nv]`; its arguments changed places in MuJoCo 4."""
    full = np.zeros((model.nv, model.nv))
    if hasattr(data, "qM"):
        mujoco.mj_fullM(model, full, data.qM)
    else:
        mujoco.mj_fullM(model, data, full)
    return full


def looks_ahead(distance: float) -> str:
    """Attributes of a geom whose contacts are known from `distance` metres on, but push only at 0.

    Up to MuJoCo 3 a contact pushed from margin − gap on and was known from margin on; in MuJoCo 4
    it pushes from margin on and is known from margin + gap on.
    """
    return f'margin="{0 if _gap_is_beyond() else distance}" gap="{distance}"'


@lru_cache(maxsize=1)
def _gap_is_beyond() -> bool:
    """Whether a ball that hovers within margin and gap is pushed by the floor."""
    ball = (
        '<mujoco><worldbody><geom type="plane" size="1 1 1"/><body pos="0 0 0.055"><freejoint/>'
        '<geom size="0.05" margin="0.01" gap="0.01"/></body></worldbody></mujoco>'
    )
    model = mujoco.MjModel.from_xml_string(ball)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return bool(data.nefc > 0)
