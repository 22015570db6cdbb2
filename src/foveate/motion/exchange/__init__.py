"""Exchange: clips to files of other programs, and files of others to clips.

The one thing to know: the ending of the name chooses the format; `export` and `load` are the doors,
everything else here is one format a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..clip import MotionClip

FORMATS = {
    ".npz": "our archive, with SMPL-like rotations",
    ".bvh": "BVH, for animation programs",
    ".glb": "glTF 2.0 with skeleton, skin and scene",
    ".vrma": "VRM animation",
    ".npy": "HumanML3D features, [T, 263] at 20 fps",
    ".csv": "MuJoCo qpos, one row a frame",
    ".xml": "MJCF of the body with the frames as keyframes",
    ".mp4": "H.264 video",
    ".gif": "animation, at most 15 fps",
    ".png": "contact sheet of the key poses",
    ".svg": "strip of stick figures",
    ".html": "viewer in one page",
    ".json": "the plan",
}
READABLE = (".npz", ".bvh", ".glb", ".npy", ".csv")
__all__ = ["FORMATS", "READABLE", "export", "load"]


def export(clip: MotionClip, path: str | Path, **options: Any) -> Path:
    """Write a clip in the format that the path's ending names.

    Args:
        clip: What to write.
        path: Where; the folder must exist. The file appears complete or not at all.
        **options: Of the format, for example `skeleton="mixamo"` (BVH), `width=640` (MP4); see
            `foveate.motion.exchange.write`.

    Returns:
        The path.

    Raises:
        ValueError: The ending or an option is unknown.
        OSError: It cannot be written there.
    """
    from . import write

    return write.export(clip, path, **options)


def load(path: str | Path, fps: float | None = None) -> MotionClip:
    """Read a clip from NPZ, BVH, GLB, qpos (CSV) or HumanML3D features (NPY).

    Args:
        path: The file.
        fps: Frames per second where the file does not say (CSV, some NPZ).

    Raises:
        ValueError: It is damaged or of an unknown form; one line that says where.
        OSError: It cannot be read.
    """
    from . import read

    return read.load(path, fps)
