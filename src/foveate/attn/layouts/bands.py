"""Which single pairs a `Band` lets see each other, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from .blocks import Band


def band_mask(band: Band, lengths: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Every pair that `band` lets see each other, bool `[1, H or 1, Lq, Lk]`."""
    lq, lk = lengths
    rows = torch.arange(lq, device=device).view(1, -1, 1)
    columns = torch.arange(lk, device=device).view(1, 1, -1)
    return visible(band, rows, columns, lk - lq, limits(band, device)).unsqueeze(0)


def limits(band: Band | None, device) -> tuple[Tensor, Tensor] | None:
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


def visible(band: Band, rows, columns, shift: int, per_head, key=None) -> Tensor:
    """Visibility of rows `[1, n, 1]` × columns `[1, 1, m]` → `[H or 1, n, m]`."""
    before, sink = (
        (band.before, band.sink) if per_head is None else (x.view(-1, 1, 1) for x in per_head)
    )
    return within(before, band.after, sink, rows + shift - columns, columns if key is None else key)


def within(before, after, sink, distance: Tensor, key: Tensor) -> Tensor:
    """Whether pairs at these distances, with these keys, see each other."""
    seen = torch.ones_like(distance, dtype=torch.bool) if before is None else distance <= before
    seen = seen | (key < sink)
    return seen if after is None else seen & (distance >= -after)
