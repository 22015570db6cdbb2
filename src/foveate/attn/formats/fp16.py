"""Float16 V, kept inside float16's range by a power of two per head.

The one thing to know: a power of two costs no accuracy, and without it V above 1023 overflows the
float16 sums of SageAttention's P·V (a known cause of black images), while V below 6e−8 vanishes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .quantized import SMALLEST, Quantized
from .rounding import power_of_two_below


def encode_fp16(v: Tensor, terms: int) -> Quantized:
    """Write v in float16 so that sums of `terms` values weighted by p ≤ 1 stay finite.

    With 2^e ≤ max|v| < 2^(e+1) per (batch, head), scale = 2^(e − clamp(e, low, high)), where
    high = 14 − ceil(log2 terms) and low = min(high, −4). For 64 terms the scale is 1 whenever
    max|v| lies in [2^−4, 2^9).

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        terms: Values that are summed in float16; 1 if sums are wider.

    Returns:
        codes float16 `[B, Hk, Lk, Dv]`, scale (a power of two) `[B, Hk, 1, 1]`.
    """
    largest = v.abs().amax((-2, -1), keepdim=True)
    top = power_of_two_below(largest.clamp_min(SMALLEST))
    high = 14 - math.ceil(math.log2(terms))
    scale = top / top.clamp(2.0 ** min(high, -4), 2.0**high)
    return Quantized((v / scale).to(torch.float16), scale)
