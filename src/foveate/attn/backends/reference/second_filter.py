"""The second filter: leave P·V of a tile out where it cannot matter (SpargeAttn §3.4).

A group of rows skips a tile of keys when in every row of it

    max s − m' ≤ −skip        (base 2; m' is the running maximum, this tile included)

so that each probability of the tile is at most 2^−skip of the largest so far. The tile then adds
neither to O nor to l: rows stay normalised, over the keys they kept.

The one thing to know: the first tile that a row sees raises its maximum and is never skipped, and
a row that sees nothing of a tile has no say in it. Tiles come in ascending order; another order
gives another result.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..base import Request


def left_out(s: Tensor, top: Tensor, request: Request, rows: slice) -> Tensor | None:
    """Which rows leave a tile out.

    Args:
        s: Base-2 scores of the tile, `[B, Hq, L, t]`, −inf where invisible.
        top: m', the running maximum with this tile, `[B, Hq, L, 1]`.
        request: skip and skip_rows; groups of rows begin at multiples of skip_rows from query 0.
        rows: The queries that s holds.

    Returns:
        Bool `[B, Hq, L, 1]`; None when the filter is off.
    """
    if request.skip is None:
        return None
    below = s.amax(-1, keepdim=True)
    silent = below == -torch.inf  # sees nothing here
    below = torch.where(silent, -torch.inf, below - torch.where(silent, 0.0, top))
    size, before = request.skip_rows, rows.start % request.skip_rows
    after = -rows.stop % size
    groups = pad(below, (0, 0, before, after), value=-torch.inf).unflatten(2, (-1, size))
    loudest = groups.amax(3)  # NaN if any is NaN, and that is ≤ nothing: no row is left out
    limit = request.skip
    if isinstance(limit, tuple):
        limit = torch.tensor(limit, dtype=s.dtype, device=s.device).reshape(1, -1, 1, 1)
    return (loudest <= -limit).repeat_interleave(size, 2)[:, :, before : before + s.shape[2]]


def count(tally: Tensor, s: Tensor, drop: Tensor) -> None:
    """Add to `tally` `[B, Hq, 2]` the visible pairs of a tile, and those that are left out."""
    seen = (s != -torch.inf).sum(-1, keepdim=True)
    tally[..., 0] += seen.sum((2, 3))
    tally[..., 1] += (seen * drop).sum((2, 3))
