"""What JPEG loses, for batches of tensors on any device.

Colour transform, halved chroma, 8 × 8 cosine transform, quantisation and the way back, with the
tables of ITU-T T.81 annex K scaled as libjpeg scales them. The entropy coder is lossless, so it is
left out: nothing here reads or writes a file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .response import quantise

LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)  # fmt: skip


def compress(srgb: Tensor, quality: int = 95) -> Tensor:
    """A picture as it comes back from a JPEG file (4:2:0).

    Args:
        srgb: `[B, 3, H, W]` in [0, 1].
        quality: 1 to 100, as in libjpeg.

    Returns:
        `[B, 3, H, W]` in [0, 1], in steps of 1/255.

    Raises:
        ValueError: quality is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}; expected 1 to 100")
    height, width = srgb.shape[-2:]
    pad = (0, -width % 16, 0, -height % 16)
    r, g, b = F.pad(quantise(srgb) * 255, pad, mode="replicate").unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb, cr = (b - y) / 1.772 + 128, (r - y) / 1.402 + 128
    y = _lose(y.round(), LUMA, quality)
    small = F.avg_pool2d(torch.stack([cb.round(), cr.round()], 1), 2).round()
    cb, cr = (_lose(small[:, i], CHROMA, quality) for i in (0, 1))
    chroma = F.interpolate(
        torch.stack([cb, cr], 1), scale_factor=2, mode="bilinear", align_corners=False
    )
    cb, cr = (chroma - 128).unbind(1)
    rgb = torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 1)
    return quantise(rgb[..., :height, :width] / 255)


def _lose(plane: Tensor, steps: tuple[tuple[int, ...], ...], quality: int) -> Tensor:
    """Round the cosine transform of each 8 × 8 block of `[B, H, W]`."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = ((torch.tensor(steps) * scale + 50) // 100).clamp(1, 255).to(plane)
    n = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(math.pi / 8 * (n[None] + 0.5) * n[:, None]) / 2
    basis[0] /= math.sqrt(2)
    basis = basis.to(plane)
    blocks = (plane - 128).unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).transpose(2, 3)
    codes = (basis @ blocks @ basis.T / table).round() * table
    values = (basis.T @ codes @ basis + 128).round().clamp(0, 255)
    return values.transpose(2, 3).flatten(3, 4).flatten(1, 2)
