"""The colour filter array: packing it into planes, filling it in, flipping it.

The one thing to know: packed RAW is `[..., 4, H/2, W/2]` in the order R, Gr, Gb, B, where Gr is the
green that shares its row with red. Functions that turn planes into pictures take red to sit at
(0, 0); `to_rggb` crops any other phase to that.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

PHASES = ("RGGB", "BGGR", "GRBG", "GBRG")


def sites(cfa: str) -> list[tuple[int, int]]:
    """(row, column) in the 2 × 2 cell of R, Gr, Gb and B.

    Raises:
        ValueError: Not a Bayer pattern.
    """
    if cfa not in PHASES:
        raise ValueError(
            f'cfa "{cfa}" is no Bayer pattern; expected one of {", ".join(PHASES)} '
            "(X-Trans and other mosaics are not read yet)"
        )
    row, column = divmod(cfa.index("R"), 2)
    return [(row, column), (row, 1 - column), (1 - row, column), (1 - row, 1 - column)]


def pack(mosaic: Tensor, cfa: str = "RGGB") -> Tensor:
    """Sensor values `[..., H, W]` to planes `[..., 4, H/2, W/2]`.

    Raises:
        ValueError: H or W is odd, or the pattern is unknown.
    """
    height, width = mosaic.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"mosaic is {height} × {width}; expected even sizes, crop a row or column")
    return torch.stack([mosaic[..., r::2, c::2] for r, c in sites(cfa)], dim=-3)


def unpack(packed: Tensor, cfa: str = "RGGB") -> Tensor:
    """Planes `[..., 4, h, w]` to sensor values `[..., 2h, 2w]`; the inverse of `pack`."""
    *batch, four, height, width = packed.shape
    if four != 4:
        raise ValueError(f"packed has {four} planes, expected 4 (R, Gr, Gb, B): {[*packed.shape]}")
    mosaic = packed.new_empty(*batch, 2 * height, 2 * width)
    for plane, (row, column) in enumerate(sites(cfa)):
        mosaic[..., row::2, column::2] = packed[..., plane, :, :]
    return mosaic


def to_rggb(mosaic: Tensor, cfa: str) -> Tensor:
    """Crop `[..., H, W]` so that red sits at (0, 0) and both sizes are even."""
    row, column = sites(cfa)[0]
    mosaic = mosaic[..., row:, column:]
    height, width = (size // 2 * 2 for size in mosaic.shape[-2:])
    return mosaic[..., :height, :width]


def flip(mosaic: Tensor, dim: int) -> Tensor:
    """Mirror sensor values along -1 or -2 and keep the phase; the first and last line go."""
    size = mosaic.shape[dim]
    return mosaic.narrow(dim, 1, size - 2).flip(dim)


def sample(rgb: Tensor) -> Tensor:
    """What a RGGB sensor sees of `[..., 3, H, W]`: planes `[..., 4, H/2, W/2]`."""
    r, g, b = rgb.unbind(-3)
    return torch.stack(
        [r[..., ::2, ::2], g[..., ::2, 1::2], g[..., 1::2, ::2], b[..., 1::2, 1::2]], dim=-3
    )


def demosaic(packed: Tensor) -> Tensor:
    """Bilinear filling of planes `[B, 4, h, w]` to camera RGB `[B, 3, 2h, 2w]`."""
    mosaic = unpack(packed).unsqueeze(1)
    spread = torch.zeros_like(mosaic).expand(-1, 3, -1, -1).clone()  # each site in its own colour
    spread[:, 0, ::2, ::2] = mosaic[:, 0, ::2, ::2]
    spread[:, 1, ::2, 1::2] = mosaic[:, 0, ::2, 1::2]
    spread[:, 1, 1::2, ::2] = mosaic[:, 0, 1::2, ::2]
    spread[:, 2, 1::2, 1::2] = mosaic[:, 0, 1::2, 1::2]
    # mirroring without the edge keeps the phase of the mosaic
    kernel = _bilinear(mosaic.device, mosaic.dtype)
    return F.conv2d(F.pad(spread, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)


@lru_cache(maxsize=8)  # made once, because sending it to a GPU waits for all work so far
def _bilinear(device: torch.device, dtype: torch.dtype) -> Tensor:
    cross = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    plus = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    return torch.stack([plus, cross, plus]).unsqueeze(1).to(device, dtype)


def bin_cells(packed: Tensor) -> Tensor:
    """One RGB pixel per 2 × 2 cell, greens averaged: `[..., 4, h, w]` to `[..., 3, h, w]`."""
    r, gr, gb, b = packed.unbind(-3)
    return torch.stack([r, (gr + gb) / 2, b], dim=-3)
