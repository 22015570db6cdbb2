"""Exact attention for a few sampled queries, and how much of their mass a layout visits.

The one thing to know: everything here is linear in length. `ROWS` queries of each head are spread
over the sequence, each head's at other places, and never at random: the same sizes give the same
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .layouts.bands import limits, within
from .layouts.blocks import Band, BlockLayout

if TYPE_CHECKING:
    from .backends.base import Request
    from .select import Selection

ROWS = 32
"""Sampled queries per head: 0.2 % of the work of dense attention at 16k tokens."""

_GOLDEN = 0.6180339887498949  # steps of this part of a whole fill it evenly


@dataclass(frozen=True)
class Sample:
    """What exact attention says about the sampled rows.

    Args:
        rows: The queries, int64 `[Hq, n]`, ascending; the same for all of the batch.
        out: Exact output, float32 (float64 for float64 inputs) `[B, Hq, n, Dv]`.
        retained: Share of each row's mass on keys that the layout visits, `[B, Hq, n]`; 1 for rows
            that see nothing.
    """

    rows: Tensor
    out: Tensor
    retained: Tensor


def spread(heads: int, length: int, count: int, device: torch.device) -> Tensor:
    """Positions spread over the sequence, `count` per head, int64 `[H, n]`, ascending.

    One in each of `count` equal cells. Its place in the cell moves by the golden section from cell
    to cell and head to head: rows at equal distances would all stand at one place of their block.
    """
    count = min(count, length)
    cell = torch.arange(count, device=device, dtype=torch.float64)
    turn = torch.arange(heads, device=device).unsqueeze(-1) * count + cell
    place = (turn * _GOLDEN + 0.5) % 1
    return ((cell + place) * (length / count)).long().clamp_(max=length - 1)


def sample(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    request: Request,
    layout: BlockLayout | None,
    order: tuple[Tensor, Tensor] | None = None,
    rows: int = ROWS,
) -> Sample:
    """Attend exactly for sampled rows, and weigh what a layout visits.

    Args:
        q: Queries, `[B, Hq, Lq, D]`, as the caller has them.
        k: Keys, `[B, Hk, Lk, D]`.
        v: Values, `[B, Hk, Lk, Dv]`.
        mask: Bool or additive, broadcastable to `[B, Hq, Lq, Lk]`.
        request: The static facts of the call.
        layout: Visited blocks; None visits everything.
        order: Which token stands at each place of the layout, for queries and for keys, int64
            `[L]`; None when the layout is in the caller's order.
        rows: Sampled queries per head.
    """
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    at = spread(request.q_heads, request.q_length, rows, q.device)
    group = request.q_heads // request.kv_heads
    outs, masses = [], []
    for g in range(request.kv_heads):  # one key head at a time bounds the memory
        heads = torch.arange(g * group, (g + 1) * group, device=q.device).unsqueeze(-1)
        here = at[g * group : (g + 1) * group]
        keys, values = (x[:, g].to(dtype) for x in (k, v))
        queries = q[:, heads, here].to(dtype)  # [B, G, n, D]
        scores = queries @ keys.transpose(-1, -2).unsqueeze(1) * request.scale
        scores = _hidden(scores, mask, request, heads, here)
        top = scores.amax(-1, keepdim=True)
        weights = (scores - top.masked_fill(top == -torch.inf, 0.0)).exp()
        total = weights.sum(-1, keepdim=True)
        weights = weights / total.masked_fill(total == 0, 1.0)
        outs.append(weights @ values.unsqueeze(1))
        if layout is None:
            masses.append(torch.ones_like(total[..., 0]))
            continue
        seen = _visited(layout, heads, here, order)
        mass = (weights * seen).sum(-1)
        masses.append(torch.where(total[..., 0] == 0, 1.0, mass))
    return Sample(at, torch.cat(outs, 1), torch.cat(masses, 1))


def order_of(select: Selection, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor] | None:
    """Which token stands at each place after `arrange`; None when they stay where they are."""
    numbers = [torch.arange(x.shape[2], device=x.device).view(1, 1, -1, 1) for x in (q, k, k)]
    arranged = select.arrange(*numbers)
    if arranged[0] is numbers[0] and arranged[1] is numbers[1]:
        return None
    return arranged[0].flatten(), arranged[1].flatten()


def _hidden(
    scores: Tensor, mask: Tensor | None, request: Request, heads: Tensor, rows: Tensor
) -> Tensor:
    """Scores with the call's band and mask applied; `[B, G, n, Lk]`."""
    if request.band is not None:
        key = torch.arange(request.k_length, device=scores.device)
        position = rows.unsqueeze(-1) + (request.k_length - request.q_length)
        seen = _in_band(request.band, position, key, heads)
        scores = scores.masked_fill(~seen, -torch.inf)
    if mask is None:
        return scores
    whole = (request.batch, request.q_heads, request.q_length, request.k_length)
    part = mask.expand(whole)[:, heads, rows]  # a view until the rows are taken
    if part.dtype == torch.bool:
        return scores.masked_fill(~part, -torch.inf)
    return scores + part


def _visited(
    layout: BlockLayout, heads: Tensor, rows: Tensor, order: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Which keys the layout lets sampled rows see, bool `[B or 1, G, n, Lk]`, by the key's number
    as the caller has it."""
    if order is not None:
        rows = _places(order[0])[rows]
    slot = heads if layout.counts.shape[1] > 1 else torch.zeros_like(heads)
    blocks = rows // layout.block[0]
    counts, indices = layout.counts[:, slot, blocks], layout.indices[:, slot, blocks]
    used = torch.arange(indices.shape[-1], device=rows.device) < counts.unsqueeze(-1)
    shape = (*indices.shape[:-1], layout.grid[1])
    marks = torch.zeros(shape, dtype=torch.int32, device=rows.device)
    marks.scatter_add_(-1, indices.long(), used.int())
    place = torch.arange(layout.lengths[1], device=rows.device)
    if order is not None:
        place = _places(order[1])
    seen = (marks > 0)[..., place // layout.block[1]]
    if layout.band is not None:
        position = rows.unsqueeze(-1) + (layout.lengths[1] - layout.lengths[0])
        seen = seen & _in_band(layout.band, position, place, heads)
    return seen


def _in_band(band: Band, position: Tensor, key: Tensor, heads: Tensor) -> Tensor:
    """Whether keys `[Lk]` are visible from positions `[G, n, 1]` of some heads `[G, 1]`."""
    before, sink = band.before, band.sink
    if (per_head := limits(band, position.device)) is not None:
        before, sink = (x[heads].unsqueeze(-1) for x in per_head)
    return within(before, band.after, sink, position - key, key)


def _places(order: Tensor) -> Tensor:
    """Where each token stands, from which token stands where."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
