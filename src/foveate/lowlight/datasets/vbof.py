"""VBOF: pairs of frames of one motion at several exposures, with flow (Zheng et al., CVPR 2020)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .layout import Files, LayoutError, pictures, read

_FIRST = re.compile(r"^(\d{2})(\d{2})(\d{2})(\d{2})_img1\.(jpg|png)$", re.IGNORECASE)


class VBOF(Files):
    """Samples `(first, second, flow, exposure)`; flow float `[2, H, W]`, NaN where unknown.

    A name tells the camera, the two positions of what moves, and the exposure (1 is the brightest).
    The published pictures were scaled to a mean of 0.4, so darkness shows as noise and few levels.

    Args:
        root: The folder that holds `VBOF_data`, as the authors' script fills it.
        exposure: Only this exposure; None for all.
        camera: Only this camera, by its two digits as a number; None for all.

    Raises:
        LayoutError: Files are missing or damaged.
    """

    LAYOUT = "root/VBOF_data/{12030405_img1.jpg,12030405_img2.jpg,12030405_flow.flo,…}"

    def __init__(
        self,
        root: str | os.PathLike[str],
        exposure: int | None = None,
        camera: int | None = None,
    ) -> None:
        self.open(root, "VBOF_data")
        self.items = []
        for first in pictures(self.root / "VBOF_data"):
            match = _FIRST.match(first.name)
            if not match:
                continue
            source, level = int(match.group(1)), int(match.group(4))
            if exposure not in (None, level) or camera not in (None, source):
                continue
            stem = first.name[:8]
            second = first.with_name(f"{stem}_img2{first.suffix}")
            flow = first.with_name(f"{stem}_flow.flo")
            for path in (second, flow):
                if not path.exists():
                    self.complain(f"{path} does not exist, the partner of {first.name}")
            self.items.append((first, second, flow, level))
        self.check(len(self.items), None, "pairs", partial=True)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, int]:
        first, second, flow, exposure = self.items[index]
        return read(first), read(second), read_flow(flow), exposure


def read_flow(path: Path) -> Tensor:
    """A Middlebury .flo file: float32 `[2, H, W]`, NaN where unknown.

    Raises:
        LayoutError: It is damaged.
    """
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(202021.25):
        raise LayoutError(f"{path} is no .flo file")
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, offset=4))
    if width <= 0 or height <= 0 or len(data) < 12 + 8 * width * height:
        raise LayoutError(f"{path} is cut off; expected {width}x{height} vectors")
    flow = np.frombuffer(data, "<f4", 2 * width * height, offset=12).reshape(height, width, 2)
    flow = np.where(np.abs(flow) > 1e9, np.nan, flow).astype(np.float32)
    return torch.from_numpy(flow).permute(2, 0, 1).contiguous()
