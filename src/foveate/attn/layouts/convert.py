"""Conversions of BlockLayout: bool maps, token masks, block-sparse rows, FlexAttention's BlockMask.

The one thing to know: a layout has no mask_mod. Reading a BlockMask therefore evaluates its mask_mod on the
partial blocks and accepts it only if it is exactly a `Band` (full, causal, window, sink); anything else is
refused, never dropped. Writing one attaches a mask_mod that looks the block up in a table, because
FlexAttention without compilation ignores the tables and believes mask_mod alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .blocks import Band, BlockLayout

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

_PAIRS_AT_ONCE = 1 << 20  # mask_mod is evaluated on so many pairs at a time, so memory stays small


def from_dense(
    visits: Tensor, block: tuple[int, int], lengths: tuple[int, int], band: Band | None = None
) -> BlockLayout:
    """Make a layout of a map of blocks.

    Args:
        visits: True = visit, bool `[B or 1, Hq or 1, nQ, nK]`.
        block: `(bq, bk)`.
        lengths: `(Lq, Lk)`.
        band: Rule for single pairs.

    Raises:
        TypeError: visits is not a bool tensor.
        ValueError: visits does not have four dimensions, or not nQ × nK.
    """
    if not isinstance(visits, Tensor) or visits.dtype != torch.bool:
        came = visits.dtype if isinstance(visits, Tensor) else type(visits).__name__
        raise TypeError(f"visits is {came}; expected a bool tensor [B, H, nQ, nK]")
    grid = tuple(-(-length // size) for length, size in zip(lengths, block))
    if visits.dim() != 4 or tuple(visits.shape[2:]) != grid:
        raise ValueError(f"visits has shape {list(visits.shape)}; expected [B, H, {grid[0]}, {grid[1]}] "
                         f"for lengths {tuple(lengths)} in blocks of {tuple(block)}")  # fmt: skip
    counts = visits.sum(-1, dtype=torch.int32)
    # a stable sort of "not visited" puts the visited blocks first and keeps both parts ascending
    indices = visits.logical_not().to(torch.uint8).sort(dim=-1, stable=True).indices.int()
    return BlockLayout(counts, indices, block, lengths, band)


def to_dense(layout: BlockLayout) -> Tensor:
    """The map of visited blocks, bool `[B or 1, Hq or 1, nQ, nK]`."""
    nk = layout.indices.shape[-1]
    used = torch.arange(nk, device=layout.device) < layout.counts.unsqueeze(-1)
    # the ignored entries may repeat a visited block: count marks instead of overwriting them
    marks = torch.zeros(layout.indices.shape, dtype=torch.int32, device=layout.device)
    return marks.scatter_add_(-1, layout.indices.long(), used.int()) > 0


def band_mask(band: Band, lengths: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Every pair that `band` lets see each other, bool `[1, H or 1, Lq, Lk]`."""
    lq, lk = lengths
    rows = torch.arange(lq, device=device).view(1, -1, 1)
    columns = torch.arange(lk, device=device).view(1, 1, -1)
    return _visible(band, rows, columns, lk - lq, _limits(band, device)).unsqueeze(0)


def to_mask(layout: BlockLayout) -> Tensor:
    """Every visible pair, bool `[B or 1, Hq or 1, Lq, Lk]`."""
    lq, lk = layout.lengths
    bq, bk = layout.block
    pairs = to_dense(layout).repeat_interleave(bq, 2).repeat_interleave(bk, 3)[:, :, :lq, :lk]
    return pairs if layout.band is None else pairs & band_mask(layout.band, layout.lengths, layout.device)


def from_bsr(
    indptr: Tensor, indices: Tensor, block: tuple[int, int], lengths: tuple[int, int], band: Band | None = None
) -> BlockLayout:
    """Read a block-sparse-row pair; one map for all batches and heads.

    Args:
        indptr: Where the row of each query block starts, integers `[nQ + 1]`.
        indices: Key blocks, integers `[nnz]`, in any order within a row.
        block: `(bq, bk)`.
        lengths: `(Lq, Lk)`.
        band: Rule for single pairs.

    Raises:
        ValueError: indptr does not rise from 0 to nnz in nQ steps, an index is out of range or comes twice.
    """
    nq, nk = (-(-length // size) for length, size in zip(lengths, block))
    if indptr.dim() != 1 or len(indptr) != nq + 1 or indices.dim() != 1:
        raise ValueError(f"indptr has shape {list(indptr.shape)}, indices {list(indices.shape)}; "
                         f"expected [{nq + 1}] and [nnz]")  # fmt: skip
    indptr, indices = indptr.long(), indices.long()
    sizes = indptr.diff()
    if int(indptr[0]) != 0 or int(indptr[-1]) != len(indices) or bool((sizes < 0).any()):
        raise ValueError(f"indptr must rise from 0 to nnz = {len(indices)}; it goes from {int(indptr[0])} "
                         f"to {int(indptr[-1])}")  # fmt: skip
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < nk:
        raise ValueError(f"indices go from {int(indices.min())} to {int(indices.max())}; expected 0 to {nk - 1}")
    row = torch.repeat_interleave(torch.arange(nq, device=indices.device), sizes)
    visits = torch.zeros(nq, nk, dtype=torch.bool, device=indices.device)
    visits[row, indices] = True
    if int(visits.sum()) != len(indices):
        raise ValueError("indices name a key block twice in one row; expected each once")
    return from_dense(visits[None, None], block, lengths, band)


def to_bsr(layout: BlockLayout, batch: int = 0, head: int = 0) -> tuple[Tensor, Tensor]:
    """Block-sparse rows of one head: indptr int32 `[nQ + 1]`, indices int32 `[nnz]`.

    Raises:
        ValueError: The layout has a band, which this form cannot carry.
    """
    if layout.band is not None:
        raise ValueError(f"a block-sparse-row pair cannot carry {layout.band}; "
                         "use dataclasses.replace(layout, band=None) and apply the band yourself")  # fmt: skip
    counts, indices = layout.counts[batch, head], layout.indices[batch, head]
    indptr = torch.zeros(len(counts) + 1, dtype=torch.int32, device=layout.device)
    indptr[1:] = counts.cumsum(0)
    used = torch.arange(indices.shape[-1], device=layout.device) < counts.unsqueeze(-1)
    return indptr, indices[used]


def to_block_mask(layout: BlockLayout) -> BlockMask:
    """Write a FlexAttention BlockMask that means the same, compiled and in eager mode."""
    from torch.nn.attention.flex_attention import BlockMask

    visits = to_dense(layout)  # [B, H, nQ, nK]
    full = visits & _inside(layout)
    (bq, bk), (lq, lk) = layout.block, layout.lengths
    batches, heads = visits.shape[:2]
    band, limits = layout.band, _limits(layout.band, layout.device)

    def mask_mod(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        # a map shared by all batches or heads has one row; b and h come as 0-dim tensors
        visited = visits[b % batches, h % heads, q_idx // bq, kv_idx // bk]
        if band is None:
            return visited
        distance = q_idx + (lk - lq) - kv_idx
        if limits is None:
            return visited & _within(band.before, band.after, band.sink, distance, kv_idx)
        return visited & _within(limits[0][h], band.after, limits[1][h], distance, kv_idx)

    if band is not None and band.heads is not None and heads == 1:
        # flex takes its table per head when the rule differs per head
        visits, full = (x.expand(-1, band.heads, -1, -1) for x in (visits, full))
        heads = band.heads
    some, all_ = (from_dense(x, layout.block, layout.lengths) for x in (visits & ~full, full))
    return BlockMask.from_kv_blocks(
        some.counts, some.indices, all_.counts, all_.indices,
        BLOCK_SIZE=layout.block, mask_mod=mask_mod, seq_lengths=layout.lengths,
    )  # fmt: skip


def from_block_mask(mask: BlockMask) -> BlockLayout:
    """Read a FlexAttention BlockMask.

    Its mask_mod is evaluated on every pair of the partial blocks; it must be a `Band` there (everything,
    causal, a window, with or without sink), and full blocks must agree with that band.

    Raises:
        TypeError: It is not a BlockMask.
        ValueError: mask_mod is another rule. The way out is `mask=` with a bool mask.
    """
    from torch.nn.attention.flex_attention import BlockMask

    if not isinstance(mask, BlockMask):
        raise TypeError(f"mask is {type(mask).__name__}; expected torch.nn.attention.flex_attention.BlockMask")
    block, lengths = tuple(mask.BLOCK_SIZE), tuple(int(x) for x in mask.seq_lengths)
    nq, nk = (-(-length // size) for length, size in zip(lengths, block))
    partial = _table(mask.kv_num_blocks, mask.kv_indices, nq, nk)
    full = torch.zeros_like(partial)
    if mask.full_kv_num_blocks is not None:
        full = _table(mask.full_kv_num_blocks, mask.full_kv_indices, nq, nk)
    band = _fit_band(mask.mask_mod, partial & ~full, full, block, lengths)
    return from_dense(partial | full, block, lengths, band)


def _fit_band(rule, partial: Tensor, full: Tensor, block, lengths) -> Band | None:
    """The band that agrees with `rule` on every pair of the partial blocks and holds on all full ones."""
    (lq, lk), shift = lengths, lengths[1] - lengths[0]
    seen, hidden = [], []  # distances i' − j and keys j, of visible and of hidden pairs
    for b, h, i, j in _pairs(partial, block, lengths):
        shown = torch.vmap(rule)(b, h, i, j).bool()
        for where, into in ((shown, seen), (~shown, hidden)):
            into.append(torch.unique(torch.stack([i[where] + shift - j[where], j[where]]), dim=1))
    if not any(x.numel() for x in hidden):
        return None
    (near, near_key), (far, far_key) = (torch.unique(torch.cat(x, 1), dim=1) for x in (seen, hidden))
    if not near.numel():
        near = near_key = far.new_empty(0)
    corners = _full_corners(full, block, lengths)  # smallest, largest distance and last key of full blocks
    lows = torch.cat([near, corners[0]])
    if not lows.numel():
        return Band(before=-1, after=0)  # every listed pair is hidden: a band that shows nothing
    low = int(lows.min())  # −after
    beyond = far >= low  # hidden though not too far ahead: these must be too far behind, and no sinks
    sink, before = 0, None
    if bool(beyond.any()):
        sink = int(far_key[beyond].min())
        highs = torch.cat([near[near_key >= sink], corners[1][corners[2] >= sink]])
        before = int(highs.max()) if highs.numel() else low - 1
        if int(far[beyond].min()) <= before:
            raise ValueError(_REFUSED)
    return Band(before=before, after=-low if bool((far < low).any()) else None, sink=sink)


_REFUSED = (
    "mask_mod of the BlockMask is neither full, causal nor a window, which is all that a BlockLayout can say inside "
    "a block; pass the pairs as mask= (bool, True = attend), e.g. from flex_attention.create_mask"
)


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
    """Blocks whose every pair exists and is visible under the layout's band, bool `[1, H or 1, nQ, nK]`."""
    (bq, bk), (lq, lk) = layout.block, layout.lengths
    nq, nk = layout.grid
    top = torch.arange(nq, device=layout.device).view(1, -1, 1) * bq
    left = torch.arange(nk, device=layout.device).view(1, 1, -1) * bk
    whole = (top + bq <= lq) & (left + bk <= lk)
    if layout.band is None:
        return whole.unsqueeze(0)
    limits = _limits(layout.band, layout.device)
    # the two extreme distances of a block: first query with last key, last query with first key; the
    # latter is fine as well when the whole block is in the sink, so its last key goes with it
    ahead = _visible(layout.band, top, left + bk - 1, lk - lq, limits)
    behind = _visible(layout.band, top + bq - 1, left, lk - lq, limits, key=left + bk - 1)
    return (whole & ahead & behind).unsqueeze(0)


def _limits(band: Band | None, device) -> tuple[Tensor, Tensor] | None:
    """before and sink of each head, int64 `[H]`, when the band has one value per head."""
    if band is None or band.heads is None:
        return None
    far = 1 << 40
    before = band.before if isinstance(band.before, tuple) else (band.before,) * band.heads
    sink = band.sink if isinstance(band.sink, tuple) else (band.sink,) * band.heads
    return (
        torch.tensor([far if x is None else x for x in before], device=device),
        torch.tensor(sink, device=device),
    )


def _visible(band: Band, rows, columns, shift: int, limits, key=None) -> Tensor:
    """Visibility of rows `[1, n, 1]` × columns `[1, 1, m]` → `[H or 1, n, m]`."""
    before, sink = (band.before, band.sink) if limits is None else (x.view(-1, 1, 1) for x in limits)
    return _within(before, band.after, sink, rows + shift - columns, columns if key is None else key)


def _within(before, after, sink, distance: Tensor, key: Tensor) -> Tensor:
    seen = torch.ones_like(distance, dtype=torch.bool) if before is None else distance <= before
    seen = seen | (key < sink)
    return seen if after is None else seen & (distance >= -after)


def _table(counts: Tensor, indices: Tensor, nq: int, nk: int) -> Tensor:
    """Bool `[B, H, nQ, nK]` of a count and index pair whose last dimension may be narrower than nK."""
    used = torch.arange(indices.shape[-1], device=indices.device) < counts.unsqueeze(-1)
    marks = torch.zeros((*counts.shape, nk), dtype=torch.int32, device=indices.device)
    return marks.scatter_add_(-1, indices.long().clamp(0, max(nk - 1, 0)), used.int()) > 0
