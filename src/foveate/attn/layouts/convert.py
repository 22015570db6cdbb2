"""Conversions of BlockLayout: bool maps, token masks, block-sparse rows (flex.py: BlockMask)."""

from __future__ import annotations

import torch
from torch import Tensor

from .bands import band_mask
from .blocks import Band, BlockLayout


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
    grid = tuple(-(-length // size) for length, size in zip(lengths, block, strict=True))
    if visits.dim() != 4 or tuple(visits.shape[2:]) != grid:
        raise ValueError(
            f"visits has shape {list(visits.shape)}; expected [B, H, {grid[0]}, {grid[1]}] "
            f"for lengths {tuple(lengths)} in blocks of {tuple(block)}"
        )
    counts, indices = lists(visits)
    return BlockLayout(counts, indices, block, lengths, band)


def lists(visits: Tensor) -> tuple[Tensor, Tensor]:
    """Counts int32 `[B, H, nQ]` and ascending indices int32 `[B, H, nQ, nK]` of a map of blocks."""
    counts = visits.sum(-1, dtype=torch.int32)
    # a stable sort of "not visited" puts the visited blocks first and keeps both parts ascending
    indices = visits.logical_not().to(torch.uint8).sort(dim=-1, stable=True).indices.int()
    return counts, indices


def to_dense(layout: BlockLayout) -> Tensor:
    """The map of visited blocks, bool `[B or 1, Hq or 1, nQ, nK]`."""
    width, nk = layout.indices.shape[-1], layout.grid[1]
    used = torch.arange(width, device=layout.device) < layout.counts.unsqueeze(-1)
    # the ignored entries may repeat a visited block: count marks instead of overwriting them
    marks = torch.zeros(*layout.counts.shape, nk, dtype=torch.int32, device=layout.device)
    return marks.scatter_add_(-1, layout.indices.long(), used.int()) > 0


def to_mask(layout: BlockLayout) -> Tensor:
    """Every visible pair, bool `[B or 1, Hq or 1, Lq, Lk]`."""
    lq, lk = layout.lengths
    bq, bk = layout.block
    pairs = to_dense(layout).repeat_interleave(bq, 2).repeat_interleave(bk, 3)[:, :, :lq, :lk]
    return (
        pairs
        if layout.band is None
        else pairs & band_mask(layout.band, layout.lengths, layout.device)
    )


def from_bsr(
    indptr: Tensor,
    indices: Tensor,
    block: tuple[int, int],
    lengths: tuple[int, int],
    band: Band | None = None,
) -> BlockLayout:
    """Read a block-sparse-row pair; one map for all batches and heads.

    Args:
        indptr: Where the row of each query block starts, integers `[nQ + 1]`.
        indices: Key blocks, integers `[nnz]`, in any order within a row.
        block: `(bq, bk)`.
        lengths: `(Lq, Lk)`.
        band: Rule for single pairs.

    Raises:
        ValueError: indptr does not rise from 0 to nnz in nQ steps, an index is out of range or
            comes twice.
    """
    nq, nk = (-(-length // size) for length, size in zip(lengths, block, strict=True))
    if indptr.dim() != 1 or len(indptr) != nq + 1 or indices.dim() != 1:
        raise ValueError(
            f"indptr has shape {list(indptr.shape)}, indices {list(indices.shape)}; "
            f"expected [{nq + 1}] and [nnz]"
        )
    indptr, indices = indptr.long(), indices.long()
    sizes = indptr.diff()
    if int(indptr[0]) != 0 or int(indptr[-1]) != len(indices) or bool((sizes < 0).any()):
        raise ValueError(
            f"indptr must rise from 0 to nnz = {len(indices)}; it goes from {int(indptr[0])} "
            f"to {int(indptr[-1])}"
        )
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < nk:
        raise ValueError(
            f"indices go from {int(indices.min())} to {int(indices.max())}; expected 0 to {nk - 1}"
        )
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
        raise ValueError(
            f"a block-sparse-row pair cannot carry {layout.band}; "
            "use dataclasses.replace(layout, band=None) and apply the band yourself"
        )
    counts, indices = layout.counts[batch, head], layout.indices[batch, head]
    indptr = torch.zeros(len(counts) + 1, dtype=torch.int32, device=layout.device)
    indptr[1:] = counts.cumsum(0)
    used = torch.arange(indices.shape[-1], device=layout.device) < counts.unsqueeze(-1)
    return indptr, indices[used]
