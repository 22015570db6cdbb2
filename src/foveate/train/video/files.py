"""Clips written as MP4, several side by side.

The one thing to know: a file appears under its name only when it is whole.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from .film import import_av


def write_video(
    path: str | os.PathLike[str], clip: Tensor, fps: float = 12.0, enlarge: int = 1
) -> None:
    """Write a clip as H.264.

    Args:
        path: An `.mp4` file.
        clip: uint8 `[T, Y, X, 3]`.
        fps: Frames for each second.
        enlarge: Each pixel becomes a square of so many.

    Raises:
        ValueError: The clip is not of this kind, or the path is not an `.mp4`.
        ModuleNotFoundError: PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"path is {path}; expected a name that ends in .mp4")
    if clip.dtype != torch.uint8 or clip.dim() != 4 or clip.shape[3] != 3 or not len(clip):
        raise ValueError(
            f"clip is {str(clip.dtype).removeprefix('torch.')} {list(clip.shape)}; expected uint8 "
            "[T, Y, X, 3]"
        )
    av = import_av()
    clip = clip.cpu().repeat_interleave(enlarge, 1).repeat_interleave(enlarge, 2)
    clip = clip[:, : clip.shape[1] // 2 * 2, : clip.shape[2] // 2 * 2]  # H.264 wants even sides
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.stem}.tmp.mp4")
    try:
        with av.open(str(work), "w") as file:
            stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
            stream.height, stream.width = clip.shape[1:3]
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "14"}
            for picture in clip:
                frame = av.VideoFrame.from_ndarray(picture.contiguous().numpy(), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


def side_by_side(clips: Tensor, gap: int = 2) -> Tensor:
    """Clips `[N, T, Y, X, 3]` as one, in rows and columns about as many: uint8 `[T, Y', X', 3]`."""
    count, length, high, wide = clips.shape[:4]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = clips.new_full(
        (length, rows * (high + gap) - gap, columns * (wide + gap) - gap, 3), 255
    )
    for number, clip in enumerate(clips):
        top, left = number // columns * (high + gap), number % columns * (wide + gap)
        sheet[:, top : top + high, left : left + wide] = clip
    return sheet
