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
    """Write v in integers with one scale per channel in each tile of keys.

    scale[j, c] = max over tile j of |v[n, c]| / limit, code = round(v / scale). Finer than one
    scale per channel, and keys can be appended later without touching the tiles before them.

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        tile: Keys per tile; the last tile may be shorter.
        limit: Largest code.

    Returns:
        codes int8 `[B, Hk, Lk, Dv]`, tile_scale `[B, Hk, nTiles, Dv]`.
    """
    length = v.shape[2]
    padded = torch.nn.functional.pad(v, (0, 0, 0, -length % tile))
    tiles = padded.unflatten(2, (-1, tile))  # [B, Hk, nTiles, tile, Dv]
    scale = tiles.abs().amax(3).clamp_min(SMALLEST) / limit
    codes = (tiles / scale.unsqueeze(3)).flatten(2, 3)[:, :, :length]
    return Quantized(_codes(codes, limit), tile_scale=scale, tile=tile)


def encode_tiles(v: Tensor, tile: int, limit: int = 127) -> Quantized:
    """Write v in integers with one scale per tile of keys, for all channels together.

    Source: SageBwd (arXiv 2505.11594), section 4: one scale for each block of FlashAttention.

    Args:
        v: float32 or float64, `[B, Hk, Lk, Dv]`.
        tile: Keys per tile; the last tile may be shorter.
        limit: Largest code.

    Returns:
        codes int8 `[B, Hk, Lk, Dv]`, tile_scale `[B, Hk, nTiles, 1]`.
    """
    length = v.shape[2]
    padded = torch.nn.functional.pad(v, (0, 0, 0, -length % tile))
    scale = padded.unflatten(2, (-1, tile)).abs().amax((3, 4)).clamp_min(SMALLEST) / limit
    scale = scale[..., None]
    codes = v / scale.repeat_interleave(tile, 2)[:, :, :length]
    return Quantized(_codes(codes, limit), tile_scale=scale, tile=tile)


def _codes(x: Tensor, limit: int) -> Tensor:
    # integers cannot hold NaN: it lives on in the scale
    return x.round().clamp_(-limit, limit).nan_to_num_(0.0).to(torch.int8)
