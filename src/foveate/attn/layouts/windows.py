"""Layouts of bands: the blocks that a `Band` touches, by arithmetic on block numbers.

Nothing here is as large as queries × keys; the largest table is the layout's own, query blocks ×
key blocks.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .blocks import Band, BlockLayout


@lru_cache(maxsize=64)
def band_layout(
    band: Band,
    lengths: tuple[int, int],
    block: tuple[int, int],
    device: torch.device | None = None,
) -> BlockLayout:
    """The blocks that hold at least one pair visible under `band`; the band itself stays in the
    layout.

    Cached, because the result depends on sizes alone: do not write into its tensors.

    Args:
        band: The rule; per-head tuples give a layout with as many heads.
        lengths: `(Lq, Lk)`.
        block: `(bq, bk)`.
        device: Where the tables lie; None is the CPU.

    Returns:
        A layout with counts `[1, H or 1, nQ]`.
    """
    with torch.inference_mode(False):  # a cached tensor must be usable in every later mode
        sinks, first, last = _block_spans(band, lengths, block, device)
        nk = -(-lengths[1] // block[1])
        slot = torch.arange(nk, device=device)  # [nK]
        jump = (first - sinks).unsqueeze(-1)
        indices = torch.where(slot < sinks.unsqueeze(-1), slot, slot + jump)
        indices = indices.clamp_(max=max(nk - 1, 0))
        counts = sinks + last - first
        return BlockLayout(counts[None].int(), indices[None].int(), block, lengths, band)


def band_density(band: Band, lengths: tuple[int, int], block: tuple[int, int]) -> float:
    """`band_layout(…).density()` without its table of indices: linear in Lq / bq."""
    sinks, first, last = _block_spans(band, lengths, block, None)
    blocks = sinks.numel() * -(-lengths[1] // block[1])
    return float((sinks + last - first).sum()) / blocks if blocks else 0.0


def _block_spans(
    band: Band, lengths: tuple[int, int], block: tuple[int, int], device: torch.device | None
) -> tuple[Tensor, Tensor, Tensor]:
    """`band_ranges` in blocks of keys: [0, sinks) and [first, last), without overlap."""
    sink_end, first, last = band_ranges(band, lengths, block[0], device)
    last_block = (last + block[1] - 1).div(block[1], rounding_mode="floor")
    first_block = first.div(block[1], rounding_mode="floor").where(first < last, last_block)
    sinks = (sink_end + block[1] - 1).div(block[1], rounding_mode="floor").minimum(first_block)
    return sinks, first_block, last_block


def band_ranges(
    band: Band | None, lengths: tuple[int, int], bq: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The keys that each block of queries sees under `band`: [0, sink_end) and [first, last).

    Returns:
        sink_end, first, last: int64 `[H or 1, nQ]` each, within 0 … Lk. first ≤ last; a block that
        sees no key has first = last and sink_end = 0.
    """
    lq, lk = lengths
    band = band or Band()
    start = torch.arange(0, lq, bq, device=device)
    top = start + (lk - lq)  # position of the first query of each block, [nQ]
    bottom = (start + bq).clamp(max=lq) - 1 + (lk - lq)
    heads = band.heads or 1
    last = (
        bottom + band.after + 1 if band.after is not None else bottom.new_full(bottom.shape, lk)
    ).clamp(0, lk)
    last = last.expand(heads, -1)
    first = torch.stack(
        [
            torch.zeros_like(top) if before is None else top - before
            for before in _per_head(band.before, heads)
        ]
    ).clamp(0, lk)
    sink_end = torch.tensor(_per_head(band.sink, heads), device=device).unsqueeze(-1).minimum(last)
    return sink_end, first.minimum(last), last


def _per_head(value: int | tuple[int, ...] | None, heads: int) -> tuple:
    return value if isinstance(value, tuple) else (value,) * heads
