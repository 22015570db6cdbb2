"""INT8 and INT4 encoders for Q, K (scales per group of rows) and V (scales per channel).

The one thing to know: codes are symmetric, so −128 and −8 never occur, and rounding is
nearest-even. INT4 codes live in int8 containers. A NaN or infinity makes the scale of its group
non-finite, so all that reads this group becomes NaN; the codes themselves stay defined.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .quantized import SMALLEST, Quantized


def encode_rows(x: Tensor, rows: Tensor, count: int, limit: int) -> Quantized:
    """Write x in integers with one scale per group of rows.

    scale_g = max|x| over the group / limit, code = clamp(round(x / scale_g), −limit, limit).
    Source: SageAttention (arXiv 2410.02367), section 3.2.

    Args:
        x: float32 or float64, `[B, H, L, D]`.
        rows: Group of each row, int64 `[L]`.
        count: Number of groups S.
        limit: 127 for INT8, 7 for INT4.

    Returns:
        codes int8 `[B, H, L, D]`, scale `[B, H, S, 1]`.
    """
    batch, heads, _, _ = x.shape
    largest = x.abs().amax(-1)  # [B, H, L]
    peak = largest.new_zeros(batch, heads, count)
    peak.scatter_reduce_(-1, rows.expand_as(largest), largest, "amax")
    scale = (peak.clamp_min(SMALLEST) / limit)[..., None]
    return Quantized(_codes(x / scale[:, :, rows], limit), scale, rows)


def encode_channels(v: Tensor, limit: int = 127) -> Quantized:
    """Write v in integers with one scale per channel, over all keys.

    Source: SageAttention (arXiv 2410.02367), section 3.3 (variants vT and vB).

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        limit: Largest code.

    Returns:
        codes int8 `[B, Hk, Lk, Dv]`, scale `[B, Hk, 1, Dv]`.
    """
    scale = v.abs().amax(2, keepdim=True).clamp_min(SMALLEST) / limit
    return Quantized(_codes(v / scale, limit), scale)


def encode_channels_and_tiles(v: Tensor, tile: int, limit: int = 127) -> Quantized:
    """Write v in integers with a scale per channel times a scalar per tile of keys.

    scale[c] = max_n |v[n, c]| / limit, t[j] = max over tile j of |v[n, c]| / (limit · scale[c]),
    code = round(v / scale[c] / t[j]). A quiet tile thus keeps all its bits, at the cost of one
    factor per tile that joins the rescaling of the output anyway. A tile of zeros has t = 0 and
    codes 0.

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        tile: Keys per tile; the last tile may be shorter.
        limit: Largest code.

    Returns:
        codes int8 `[B, Hk, Lk, Dv]`, scale `[B, Hk, 1, Dv]`, tile_scale `[B, Hk, nTiles, 1]`.
    """
    batch, heads, length, dim = v.shape
    scale = v.abs().amax(2, keepdim=True).clamp_min(SMALLEST) / limit
    units = v / scale  # within ±limit
    padding = -length % tile
    padded = torch.nn.functional.pad(units, (0, 0, 0, padding))
    tiles = padded.reshape(batch, heads, -1, tile * dim)
    tile_scale = tiles.abs().amax(-1, keepdim=True) / limit  # [B, Hk, nTiles, 1]
    codes = tiles / torch.where(tile_scale == 0, 1.0, tile_scale)
    codes = codes.reshape(batch, heads, -1, dim)[:, :, :length]
    return Quantized(_codes(codes, limit), scale, tile_scale=tile_scale, tile=tile)


def _codes(x: Tensor, limit: int) -> Tensor:
    # integers cannot hold NaN: it lives on in the scale
    return x.round().clamp_(-limit, limit).nan_to_num_(0.0).to(torch.int8)
