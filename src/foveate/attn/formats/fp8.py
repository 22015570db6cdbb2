"""E4M3 and E5M2: 8-bit floats.

The one thing to know: rounding saturates at the largest finite value, while a torch cast turns
anything above 464 into NaN for E4M3. E4M3: largest 448, smallest normal 2^−6. E5M2: 57344, 2^−14.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .quantized import SMALLEST, Quantized
from .rounding import round_float

LARGEST = {"e4m3": 448.0, "e5m2": 57344.0}
_GRID = {"e4m3": (3, -6), "e5m2": (2, -14)}  # mantissa bits, exponent of the smallest normal number
_STORAGE = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


def round_fp8(x: Tensor, kind: str = "e4m3") -> Tensor:
    """The nearest E4M3 or E5M2 value, ties to even, saturating.

    Args:
        x: float32 or float64, any shape.
        kind: "e4m3" or "e5m2".

    Returns:
        The rounded values in x's dtype; NaN stays NaN.
    """
    return round_float(x, *_GRID[kind], LARGEST[kind])


def encode_fp8_rows(x: Tensor, rows: Tensor, count: int, kind: str, limit: float) -> Quantized:
    """Write x in FP8 with one scale per group of rows.

    scale_g = max|x| over the group / limit, code = FP8(x / scale_g).

    Args:
        x: float32 or float64, `[B, H, L, D]`.
        rows: Group of each row, int64 `[L]`.
        count: Number of groups S.
        kind: "e4m3" or "e5m2".
        limit: Magnitude of the largest code.

    Returns:
        codes float8 `[B, H, L, D]`, scale `[B, H, S, 1]`.
    """
    largest = x.abs().amax(-1)  # [B, H, L]
    peak = largest.new_zeros(*x.shape[:2], count)
    peak.scatter_reduce_(-1, rows.expand_as(largest), largest, "amax")
    scale = (peak.clamp_min(SMALLEST) / limit)[..., None]
    codes = round_fp8((x / scale[:, :, rows]).clamp(-limit, limit), kind)
    return Quantized(codes.to(_STORAGE[kind]), scale, rows)


def encode_fp8_channels(v: Tensor, kind: str = "e4m3", limit: float = 448.0) -> Quantized:
    """Write v in FP8 with one scale per channel, over all keys.

    scale[c] = max_n |v[n, c]| / limit, code = FP8(v / scale). Narrow limits (2.25, 4.5) leave room
    for sums in float16. Source: SageAttention2 (arXiv 2411.10958), section 3.3; SageAttention2++
    (arXiv 2505.21136), section 3.

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        kind: "e4m3" or "e5m2".
        limit: Magnitude of the largest code.

    Returns:
        codes float8 `[B, Hk, Lk, Dv]`, scale `[B, Hk, 1, Dv]`.
    """
    scale = v.abs().amax(2, keepdim=True).clamp_min(SMALLEST) / limit
    codes = round_fp8((v / scale).clamp(-limit, limit), kind)
    return Quantized(codes.to(_STORAGE[kind]), scale)
