"""Rounding of real numbers to small floating-point grids, by arithmetic and for any device.

The one thing to know: nothing here casts to a torch dtype, so float64 inputs are rounded once
(torch casts float64 to 8 bits through float32) and values beyond the range saturate instead of
becoming NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

# (integer type of the same width, its exponent field, the bits of a mantissa below 13)
_FIELDS = {
    torch.float32: (torch.int32, 0x7F800000, (1 << 10) - 1),
    torch.float64: (torch.int64, 0x7FF0000000000000, (1 << 39) - 1),
}


def power_of_two_below(x: Tensor) -> Tensor:
    """The largest power of two that is at most |x|; 0 for zero and for subnormal numbers.

    Args:
        x: float32 or float64, any shape.

    Returns:
        2^floor(log2|x|) in x's shape and dtype; infinity for non-finite numbers.
    """
    integer, exponent, _ = _FIELDS[x.dtype]
    return (x.view(integer) & exponent).view(x.dtype)


def round_float(x: Tensor, mantissa: int, min_exponent: int, largest: float) -> Tensor:
    """Round to a float with few bits: nearest, ties to even, subnormals kept, saturating.

    Args:
        x: float32 or float64, any shape.
        mantissa: Stored mantissa bits.
        min_exponent: Exponent of the smallest normal number; subnormals share its step.
        largest: Magnitudes beyond this become this; it must lie on the grid.

    Returns:
        The rounded values in x's dtype. NaN stays NaN.
    """
    x = x.clamp(-largest, largest)
    step = power_of_two_below(x).clamp_min_(2.0**min_exponent).mul_(2.0**-mantissa)
    return (x / step).round_().mul_(step)  # both the quotient and the product are exact


def truncate_fp22(x: Tensor) -> Tensor:
    """The FP8 tensor core's accumulator: 13 mantissa bits, the rest cut off toward zero.

    Source: SageAttention2 (arXiv 2411.10958), section 3.3: 1 sign, 8 exponent, 13 mantissa bits.
    """
    integer, _, below = _FIELDS[x.dtype]
    return (x.view(integer) & ~below).view(x.dtype)


def round_fp16(x: Tensor) -> Tensor:
    """Round to float16, nearest even; beyond 65504 it overflows to infinity, as on hardware."""
    return x.to(torch.float16).to(x.dtype)
