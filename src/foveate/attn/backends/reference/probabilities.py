"""Probabilities: P of one tile in the recipe's format.

The one thing to know: P is written in *code units*. A static unit (1/448, 1/2688, …) is applied
once to the finished output; only `Unsigned(max="tile")` has a factor for each row and tile.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...formats import FP4, FP8, Float, Format, Unsigned
from ...formats.fp4 import SECOND_LEVEL, encode_groups
from ...formats.fp8 import round_fp8


def exp2_below(s: Tensor, top: Tensor) -> Tensor:
    """2^(s − top), and 0 where top is −inf (a row that has seen nothing).

    Args:
        s: Base-2 scores, `[..., L, t]`, −inf where invisible.
        top: A maximum, `[..., L, 1]`.
    """
    return torch.exp2(s - torch.where(top == -torch.inf, 0.0, top))


def unit(fmt: Format) -> float:
    """What one code unit of P is worth; 1 when the factor comes with each tile."""
    match fmt:
        case Unsigned(max="running", levels=levels):
            return 1.0 / levels
        case FP8(limit=limit):
            return 1.0 / limit
        case FP4(second_level=True):
            return 1.0 / SECOND_LEVEL
    return 1.0


def write(
    s: Tensor, p: Tensor, top: Tensor, fmt: Format, input_dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """Codes of P for one tile.

    Args:
        s: Base-2 scores, `[B, Hq, L, t]`, −inf where invisible.
        p: Exact 2^(s − m), same shape.
        top: m, the running maximum with this tile, `[B, Hq, L, 1]`.
        fmt: The format of P.
        input_dtype: What Float("input") means.

    Returns:
        Codes in p's dtype, `[B, Hq, L, t]`, and a factor `[B, Hq, L, 1]` or None:
        P ≈ unit(fmt) · factor · codes.
    """
    match fmt:
        case Float(dtype=name):
            dtype = input_dtype if name == "input" else getattr(torch, name)
            return p.to(dtype).to(p.dtype), None
        case Unsigned(max="running", levels=levels):
            return torch.round(p * levels), None
        case Unsigned(max="tile", levels=levels):
            tile_top = s.amax(-1, keepdim=True)
            return torch.round(exp2_below(s, tile_top) * levels), exp2_below(tile_top, top) / levels
        case FP8(kind=kind, limit=limit):
            return round_fp8((p * limit).clamp(max=limit), kind), None
        case FP4(second_level=second_level):
            codes, scale = encode_groups(p * SECOND_LEVEL if second_level else p, fmt)
            return codes * scale, None
    raise TypeError(f"p cannot be written in {fmt}; expected Float, Unsigned, FP8 or FP4")
