"""Rules that turn block scores into visited blocks."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .blocks import Band
from .windows import band_ranges


def pool_blocks(x: Tensor, rows: int) -> Tensor:
    """Mean over each block of rows; the last block may be shorter.

    Args:
        x: Values, `[B, H, L, D]`.
        rows: Rows per block.

    Returns:
        Means, float32 (float64 for float64 inputs) `[B, H, ceil(L / rows), D]`.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    whole = x.shape[2] // rows * rows
    parts = []
    if whole:
        parts.append(x[:, :, :whole].unflatten(2, (-1, rows)).mean(3, dtype=dtype))
    if whole < x.shape[2]:
        parts.append(x[:, :, whole:].mean(2, keepdim=True, dtype=dtype))
    return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]


@lru_cache(maxsize=64)
def block_regions(
    band: Band | None,
    lengths: tuple[int, int],
    block: tuple[int, int],
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Where a selection may choose under `band`, and what it must always visit.

    Cached, because the result depends on sizes alone: do not write into its tensors.

    Returns:
        allowed: Blocks with at least one visible pair, bool `[H or 1, nQ, nK]`.
        kept: If the band looks no further ahead than some limit (causal): the first block and the
            blocks on the diagonal, so that no query is left without its own neighbourhood; else
            nothing. Same shape.
    """
    with torch.inference_mode(False):  # a cached tensor must be usable in every later mode
        (lq, lk), (bq, bk) = lengths, block
        sink_end, first, last = (x.unsqueeze(-1) for x in band_ranges(band, lengths, bq, device))
        left = torch.arange(0, lk, bk, device=device)
        right = left + bk
        allowed = (left < sink_end) | ((left < last) & (right > first) & (first < last))
        if band is None or band.after is None:
            return allowed, torch.zeros_like(allowed)
        top = (torch.arange(0, lq, bq, device=device) + (lk - lq)).unsqueeze(-1)
        bottom = (top + bq).clamp(max=lk) - 1
        diagonal = (right > top) & (left <= bottom)
        return allowed, allowed & (diagonal | (left == 0))


def by_count(scores: Tensor, k: int | float, allowed: Tensor, kept: Tensor) -> Tensor:
    """Visit the k best blocks of each row, among those allowed, and always those kept.

    Args:
        scores: Larger is better, `[B, H, nQ, nK]`. NaN ranks last.
        k: How many: an int, or a fraction (float in 0 … 1] of the allowed blocks of each row,
            rounded up.
        allowed: Bool, broadcasts to scores.
        kept: Bool, a part of allowed; these count as the best.

    Returns:
        visits: bool `[B, H, nQ, nK]`.
    """
    room = allowed.sum(-1, keepdim=True)
    if isinstance(k, float):  # in float64, less a little: 30 · 0.1 must not become four blocks
        wanted = (room.double() * k - 1e-9).ceil().long().clamp(min=1).minimum(room)
    else:
        wanted = room.clamp(max=k)
    wanted = wanted.maximum(kept.sum(-1, keepdim=True))
    inf = float("inf")
    ranked = scores.nan_to_num(nan=-3e38, posinf=3e38, neginf=-3e38)
    ranked = ranked.masked_fill(kept, inf).masked_fill(~allowed, -inf)
    order = ranked.sort(dim=-1, descending=True, stable=True).indices
    good = torch.arange(scores.shape[-1], device=scores.device) < wanted
    return torch.zeros_like(order, dtype=torch.bool).scatter_(-1, order, good.expand_as(order))
