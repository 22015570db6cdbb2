"""Which photographs train, and which are held out, in the benchmarks of REENet and FEM.

The one thing to know: the split is by photograph, never by crop.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .lowlight_photos import MORE_PHOTOS, PATCH_PHOTOS, load


def _names(text: str) -> list[str]:
    return text.split()


SIDE = 512
TRAIN = _names(
    "aitzgorri life picos sunset blinds garden meadow raindrops evening moss bridge seeding "
    "aqua freshflower ladybird twowings summer home football plant daisies lamp monarch house"
)
VALIDATION = _names("cups rocket yellowflower leaf")
TEST = _names("dragonfly wine friends dune path building coffee chelsea kite water")


def photographs(source: str | Path, names: list[str]) -> list[Tensor]:
    """uint8 `[3, H, W]` each, even sizes, longer side `SIDE`.

    Args:
        source: The unpacked packages, or an npz file (`lowlight_photos.pack`).
        names: Of the tables in `lowlight_photos`.
    """
    tables = {**PATCH_PHOTOS, **MORE_PHOTOS}
    found = load(source, {name: tables[name] for name in names}, SIDE)
    tensors = [torch.from_numpy(x).permute(2, 0, 1).contiguous() for x in found.values()]
    return [x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2] for x in tensors]
