"""NVFP4 and MXFP4: E2M1 codes with one scale for each short group along the contraction axis.

E2M1 magnitudes are 0, 0.5, 1, 1.5, 2, 3, 4, 6.

nvfp4: groups of 16, scale = E4M3(max / 6).
mxfp4: groups of 32, scale = 2^(floor(log2 max) − 2), the rule of the OCP microscaling formats:
    the largest value falls in [4, 8) and saturates at 6. Subnormal maxima count as zero.

The one thing to know: a value is divided by the *rounded* scale, which decoding multiplies with.
Source: SageAttention3 (arXiv 2505.11594), section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import FP4
from .fp8 import round_fp8
from .quantized import SMALLEST, Quantized
from .rounding import power_of_two_below, round_float

SECOND_LEVEL = 448.0 * 6.0
"""The largest magnitude that E4M3 scales times E2M1 codes reach: 2688."""


def round_e2m1(x: Tensor) -> Tensor:
    """The nearest E2M1 value, ties to even, saturating at 6; x's dtype, NaN stays NaN."""
    return round_float(x, 1, 0, 6.0)


def encode_groups(x: Tensor, fmt: FP4) -> tuple[Tensor, Tensor]:
    """Write x in E2M1 with one scale per group of consecutive values of the last axis.

    Args:
        x: float32 or float64, `[..., N]`; a shorter last group counts as padded with zeros.
        fmt: The format; its second level is not applied here.

    Returns:
        codes (E2M1 values in x's dtype) `[..., N]` and the scale of each value, `[..., N]`.
    """
    length = x.shape[-1]
    groups = pad(x, (0, -length % fmt.group)).unflatten(-1, (-1, fmt.group))
    largest = groups.abs().amax(-1, keepdim=True)  # [..., N / group, 1]
    scale = round_fp8(largest / 6) if fmt.kind == "nvfp4" else power_of_two_below(largest) / 4
    codes = round_e2m1(groups / torch.where(scale == 0, torch.inf, scale))  # scale 0: all codes 0
    scale = scale.expand_as(groups)
    return codes.flatten(-2)[..., :length], scale.flatten(-2)[..., :length]


def encode_fp4(x: Tensor, fmt: FP4, axis: int) -> Quantized:
    """Write x in NVFP4 or MXFP4 with groups along `axis`.

    With a second level, x is first divided by g = max|x| / 2688 of its (batch, head), so that small
    tensors do not vanish below the smallest E4M3 scale and large ones do not saturate.

    Args:
        x: float32 or float64, `[B, H, L, D]`.
        fmt: The format.
        axis: −1 for Q and K (groups along D), −2 for V (groups along the keys).

    Returns:
        codes float8_e4m3fn `[B, H, L, D]`, group_scale `[B, H, L, D]`, scale g `[B, H, 1, 1]` or
        None.
    """
    scale = None
    if fmt.second_level:
        scale = x.abs().amax((-2, -1), keepdim=True).clamp_min(SMALLEST) / SECOND_LEVEL
        x = x / scale
    codes, group_scale = encode_groups(x.transpose(axis, -1), fmt)
    codes, group_scale = codes.transpose(axis, -1), group_scale.transpose(axis, -1)
    return Quantized(codes.to(torch.float8_e4m3fn), scale, group_scale=group_scale)
