"""How close an enhanced picture is to the true one: PSNR, SSIM, MS-SSIM.

The one thing to know: values are per image, of pictures `[B, 3, H, W]` in [0, 1], without any
matching of brightness to the truth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .response import quantise

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(found: Tensor, true: Tensor, bits: int | None = 8) -> Tensor:
    """10·log10(1/MSE) after rounding to 8 bits, `[B]`."""
    if bits is not None:
        found, true = quantise(found, bits), quantise(true, bits)
    return -10 * (found - true).square().mean((1, 2, 3)).clamp_min(1e-12).log10()


def ssim(found: Tensor, true: Tensor) -> Tensor:
    """Structural similarity `[B]`: 11 × 11 Gaussian of σ 1.5, valid region, mean of channels.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity"
    (TIP 2004), K1 = 0.01, K2 = 0.03.
    """
    luminance, structure = _parts(found, true)
    return (luminance * structure).mean((1, 2, 3))


def ms_ssim(found: Tensor, true: Tensor) -> Tensor:
    """SSIM over five scales, `[B]` (Wang et al., Asilomar 2003).

    Raises:
        ValueError: An edge is shorter than 176 pixels, so that the last scale has no window.
    """
    if min(found.shape[-2:]) < 176:
        raise ValueError(f"pictures are {[*found.shape]}; ms_ssim expects edges of at least 176")
    total = torch.ones(len(found), device=found.device)
    for scale, weight in enumerate(WEIGHTS):
        luminance, structure = _parts(found, true)
        last = scale == len(WEIGHTS) - 1
        part = (luminance * structure if last else structure).mean((1, 2, 3))
        total = total * part.clamp_min(0) ** weight
        found, true = F.avg_pool2d(found, 2), F.avg_pool2d(true, 2)
    return total


def _parts(found: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    x = torch.arange(11, device=found.device, dtype=found.dtype) - 5
    window = torch.exp(-x.square() / (2 * 1.5**2))
    window = window / window.sum()

    def blur(values: Tensor) -> Tensor:
        weight = window.expand(values.shape[1], 1, 1, 11)
        values = F.conv2d(values, weight, groups=values.shape[1])
        return F.conv2d(values, weight.transpose(2, 3), groups=values.shape[1])

    a, b = blur(found), blur(true)
    aa, bb, ab = (blur(v) for v in (found * found, true * true, found * true))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * a * b + c1) / (a * a + b * b + c1)
    structure = (2 * (ab - a * b) + c2) / (aa - a * a + bb - b * b + c2)
    return luminance, structure
