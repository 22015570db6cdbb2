"""Visibility: which (query, key) pairs of one tile of keys may be seen.

The one thing to know: four rules are combined and all must hold: the call's band, the layout's
visited blocks, the layout's own band, and a bool mask. Each is evaluated for one tile only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layouts.blocks import Band, BlockLayout
from ..base import Request

_UNLIMITED = 2**40  # a distance beyond any length


class Visibility:
    """The rules of one call, asked tile by tile.

    Args:
        request: Lengths, heads and the call's band.
        layout: Visited blocks and their band; None visits all.
        mask: Bool or additive, broadcastable to `[B, Hq, Lq, Lk]`.
    """

    def __init__(self, request: Request, layout: BlockLayout | None, mask: Tensor | None) -> None:
        self.lengths = (request.q_length, request.k_length)
        self.device = request.device
        bands = [request.band, layout.band if layout is not None else None]
        self.bands = [band for band in bands if band is not None]
        self.block = layout.block if layout is not None else (1, 1)
        self.visited = None if layout is None else visited_blocks(layout)
        self.mask = mask
        if mask is not None:
            self.mask = mask.reshape((1,) * (4 - mask.dim()) + tuple(mask.shape))

    def rows(self, start: int, stop: int) -> tuple[int, int]:
        """The first and one past the last query that may see a key of this tile."""
        q_length, k_length = self.lengths
        offset, first, last = k_length - q_length, 0, q_length
        for band in self.bands:
            if band.after is not None:
                first = max(first, start - band.after - offset)
            if band.before is not None and start >= _largest(band.sink):
                last = min(last, stop + _largest(band.before) - offset)
        return min(first, q_length), max(last, 0)

    def tile(self, first: int, last: int, start: int, stop: int) -> Tensor | None:
        """True where queries first … last − 1 see keys start … stop − 1.

        Returns:
            Bool, broadcastable to `[B, Hq, last − first, stop − start]`; None when all is visible.
        """
        rules = [self._band(band, first, last, start, stop) for band in self.bands]
        if self.visited is not None:
            rows = torch.arange(first, last, device=self.device) // self.block[0]
            keys = torch.arange(start, stop, device=self.device) // self.block[1]
            rules.append(self.visited[:, :, rows][..., keys])
        if self.mask is not None and self.mask.dtype == torch.bool:
            rules.append(self._slice(first, last, start, stop))
        seen = None
        for rule in rules:
            seen = rule if seen is None else seen & rule
        return seen

    def bias(self, first: int, last: int, start: int, stop: int) -> Tensor | None:
        """The additive mask of the same pairs, in natural-log units; None when there is none."""
        if self.mask is None or self.mask.dtype == torch.bool:
            return None
        return self._slice(first, last, start, stop)

    def _slice(self, first: int, last: int, start: int, stop: int) -> Tensor:
        rows = slice(None) if self.mask.shape[2] == 1 else slice(first, last)
        keys = slice(None) if self.mask.shape[3] == 1 else slice(start, stop)
        return self.mask[:, :, rows, keys]

    def _band(self, band: Band, first: int, last: int, start: int, stop: int) -> Tensor:
        offset = self.lengths[1] - self.lengths[0]
        position = torch.arange(first, last, device=self.device)[:, None] + offset
        key = torch.arange(start, stop, device=self.device)
        ahead = position - key  # how far the key lies behind the query
        seen = torch.ones_like(ahead, dtype=torch.bool)
        if band.before is not None:
            seen = (ahead <= self._per_head(band.before)) | (key < self._per_head(band.sink))
        if band.after is not None:
            seen = seen & (ahead >= -band.after)
        return seen

    def _per_head(self, value: int | tuple[int | None, ...]) -> Tensor | int:
        if isinstance(value, int):
            return value
        values = [_UNLIMITED if one is None else one for one in value]
        return torch.tensor(values, device=self.device).reshape(1, -1, 1, 1)


def visited_blocks(layout: BlockLayout) -> Tensor:
    """The layout as a map of blocks, bool `[B or 1, Hq or 1, nQ, nK]`."""
    blocks = -(-layout.lengths[1] // layout.block[1])
    valid = torch.arange(layout.indices.shape[-1], device=layout.indices.device)
    valid = valid < layout.counts[..., None]
    hits = torch.zeros(*layout.indices.shape[:3], blocks, dtype=torch.int32, device=valid.device)
    # entries from `counts` on add nothing, wherever they point
    return hits.scatter_add_(-1, layout.indices.long(), valid.int()) > 0


def _largest(value: int | tuple[int | None, ...]) -> int:
    if isinstance(value, int):
        return value
    return max(_UNLIMITED if one is None else one for one in value)
