"""FlexAttention's BlockMask, read and written.

The one thing to know: a layout has no mask_mod. Reading a BlockMask therefore evaluates its
mask_mod on the partial blocks and accepts it only if it is exactly a `Band` there; anything else is
refused, never dropped. Writing one attaches a mask_mod that looks the block up in a table, because
FlexAttention without compilation ignores the tables and believes mask_mod alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bands import limits, visible, within
from .blocks import Band, BlockLayout
from .convert import from_dense, to_dense

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

_PAIRS_AT_ONCE = 1 << 20  # mask_mod is evaluated on so many pairs at a time, so memory stays small

_REFUSED = (
    "mask_mod of the BlockMask is neither full, causal nor a window, which is all that a "
    "BlockLayout can say inside a block; "
    "pass the pairs as mask= (bool, True = attend), e.g. from flex_attention.create_mask"
)


def to_block_mask(layout: BlockLayout) -> BlockMask:
    """Write a FlexAttention BlockMask that means the same, compiled and in eager mode."""
    from torch.nn.attention.flex_attention import BlockMask

    visits = to_dense(layout)  # [B, H, nQ, nK]
    full = visits & _inside(layout)
    (bq, bk), (lq, lk) = layout.block, layout.lengths
    batches, heads = visits.shape[:2]
    band, per_head = layout.band, limits(layout.band, layout.device)

    def mask_mod(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        # a map shared by all batches or heads has one row; b and h come as 0-dim tensors
        visited = visits[b % batches, h % heads, q_idx // bq, kv_idx // bk]
        if band is None:
            return visited
        distance = q_idx + (lk - lq) - kv_idx
        if per_head is None:
            return visited & within(band.before, band.after, band.sink, distance, kv_idx)
        return visited & within(per_head[0][h], band.after, per_head[1][h], distance, kv_idx)

    if band is not None and band.heads is not None and heads == 1:
        # flex takes its table per head when the rule differs per head
        visits, full = (x.expand(-1, band.heads, -1, -1) for x in (visits, full))
        heads = band.heads
    some, all_ = (from_dense(x, layout.block, layout.lengths) for x in (visits & ~full, full))
    return BlockMask.from_kv_blocks(
        some.counts,
        some.indices,
        all_.counts,
        all_.indices,
        BLOCK_SIZE=layout.block,
        mask_mod=mask_mod,
        seq_lengths=layout.lengths,
    )


def from_block_mask(mask: BlockMask) -> BlockLayout:
    """Read a FlexAttention BlockMask.

    Its mask_mod is evaluated on every pair of the partial blocks; it must be a `Band` there
    (everything, causal, a window, with or without sink), and full blocks must agree with that band.

    Raises:
        TypeError: It is not a BlockMask.
        ValueError: mask_mod is another rule. The way out is `mask=` with a bool mask.
    """
    from torch.nn.attention.flex_attention import BlockMask

    if not isinstance(mask, BlockMask):
        raise TypeError(
            f"mask is {type(mask).__name__}; expected torch.nn.attention.flex_attention.BlockMask"
        )
    block, lengths = tuple(mask.BLOCK_SIZE), tuple(int(x) for x in mask.seq_lengths)
    nq, nk = (-(-length // size) for length, size in zip(lengths, block, strict=True))
    partial = _table(mask.kv_num_blocks, mask.kv_indices, nq, nk)
    full = torch.zeros_like(partial)
    if mask.full_kv_num_blocks is not None:
        full = _table(mask.full_kv_num_blocks, mask.full_kv_indices, nq, nk)
    band = _fit_band(mask.mask_mod, partial & ~full, full, block, lengths)
    return from_dense(partial | full, block, lengths, band)


def _fit_band(rule, partial: Tensor, full: Tensor, block, lengths) -> Band | None:
    """The band that is `rule` on all pairs of the partial blocks, and holds on the full ones."""
    shift = lengths[1] - lengths[0]
    seen, hidden = [], []  # distances i' − j and keys j, of visible and of hidden pairs
    for b, h, i, j in _pairs(partial, block, lengths):
        shown = torch.vmap(rule)(b, h, i, j).bool()
        for where, into in ((shown, seen), (~shown, hidden)):
            into.append(torch.unique(torch.stack([i[where] + shift - j[where], j[where]]), dim=1))
    if not any(x.numel() for x in hidden):
        return None
    (near, near_key), (far, far_key) = (
        torch.unique(torch.cat(x, 1), dim=1) for x in (seen, hidden)
    )
    if not near.numel():
        near = near_key = far.new_empty(0)
    corners = _full_corners(full, block, lengths)
    lows = torch.cat([near, corners[0]])
    if not lows.numel():
        return Band(before=-1, after=0)  # every listed pair is hidden: a band that shows nothing
    low = int(lows.min())  # −after
    beyond = far >= low  # hidden, but not too far ahead: so too far behind, and no sink
    sink, before = 0, None
    if bool(beyond.any()):
        sink = int(far_key[beyond].min())
        highs = torch.cat([near[near_key >= sink], corners[1][corners[2] >= sink]])
        before = int(highs.max()) if highs.numel() else low - 1
        if int(far[beyond].min()) <= before:
            raise ValueError(_REFUSED)
    return Band(before=before, after=-low if bool((far < low).any()) else None, sink=sink)


def _pairs(partial: Tensor, block, lengths):
    """Pairs of the partial blocks in portions: b, h, i, j, int64 `[n]` each."""
    (bq, bk), (lq, lk) = block, lengths
    blocks = partial.nonzero()
    portion = max(1, _PAIRS_AT_ONCE // (bq * bk))
    rows = torch.arange(bq, device=partial.device).repeat_interleave(bk)
    columns = torch.arange(bk, device=partial.device).repeat(bq)
    for some in blocks.split(portion) if len(blocks) else ():
        b, h, x, y = (part.unsqueeze(1) for part in some.unbind(1))
        i, j = x * bq + rows, y * bk + columns
        real = (i < lq) & (j < lk)  # never empty: each block holds at least one pair
        yield (*(part.expand_as(i)[real] for part in (b, h)), i[real], j[real])


def _full_corners(full: Tensor, block, lengths) -> tuple[Tensor, Tensor, Tensor]:
    """For each full block: the smallest and the largest i' − j, and the last key."""
    (bq, bk), (lq, lk) = block, lengths
    _, _, x, y = full.nonzero().unbind(1)
    top, left = x * bq, y * bk
    bottom, right = (top + bq).clamp(max=lq) - 1, (left + bk).clamp(max=lk) - 1
    return top + (lk - lq) - right, bottom + (lk - lq) - left, right


def _inside(layout: BlockLayout) -> Tensor:
    """Blocks whose every pair exists and is visible, bool `[1, H or 1, nQ, nK]`."""
    (bq, bk), (lq, lk) = layout.block, layout.lengths
    nq, nk = layout.grid
    top = torch.arange(nq, device=layout.device).view(1, -1, 1) * bq
    left = torch.arange(nk, device=layout.device).view(1, 1, -1) * bk
    whole = (top + bq <= lq) & (left + bk <= lk)
    if layout.band is None:
        return whole.unsqueeze(0)
    per_head = limits(layout.band, layout.device)
    # the two extreme distances of a block: first query with last key, last query with first key;
    # the latter is fine as well when the whole block is in the sink, so its last key goes with it
    ahead = visible(layout.band, top, left + bk - 1, lk - lq, per_head)
    behind = visible(layout.band, top + bq - 1, left, lk - lq, per_head, key=left + bk - 1)
    return (whole & ahead & behind).unsqueeze(0)


def _table(counts: Tensor, indices: Tensor, nq: int, nk: int) -> Tensor:
    """Bool `[B, H, nQ, nK]` of counts and indices; the latter may be narrower than nK."""
    used = torch.arange(indices.shape[-1], device=indices.device) < counts.unsqueeze(-1)
    marks = torch.zeros((*counts.shape, nk), dtype=torch.int32, device=indices.device)
    return marks.scatter_add_(-1, indices.long().clamp(0, max(nk - 1, 0)), used.int()) > 0
