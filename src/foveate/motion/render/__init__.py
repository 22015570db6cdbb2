"""Pictures of poses and clips: for people, for language models, for files.

The one thing to know: `renderer()` hands out the painter (NumPy and Pillow, the same picture
everywhere) or MuJoCo's OpenGL renderer; both draw the same solids from the same cameras.
"""

from __future__ import annotations

from typing import Any

from .camera import VIEWS, Camera, framing
from .pictures import clip_frames, frame_picture, png, pose_picture
from .sheets import contact_sheet, side_by_side, turntable

__all__ = [
    "Camera",
    "VIEWS",
    "clip_frames",
    "contact_sheet",
    "frame_picture",
    "framing",
    "png",
    "pose_picture",
    "renderer",
    "side_by_side",
    "turntable",
]


def renderer(width: int = 640, height: int = 480, kind: str = "auto") -> Any:
    """A renderer; use it as a context manager, so that OpenGL is given back.

    Args:
        width: Pixels.
        height: Pixels.
        kind: "painter", "gl", or "auto", which is the painter.

    Raises:
        ValueError: Unknown kind.
        RuntimeError: "gl" was asked for and no OpenGL works here; the message says why.
    """
    from .pictures import renderer as make

    return make(width, height, kind)
