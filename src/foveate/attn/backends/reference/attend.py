"""Attend: online softmax in base 2 over tiles of keys, all queries at once.

    s = c · Ŝ + log2(e) · bias,  c = scale · log2(e)        (−inf where invisible)
    m' = max(m, max s)    p = 2^(s − m')    α = 2^(m − m')
    l ← α·l + Σ p         O ← α·O + P̂·V̂     m ← m'
    out = O / l · v_scale (+ v̄)             lse = ln2 · (m + log2 l) (+ scale · q·k̄)

With `request.skip` the second filter may leave a tile out for some rows (`second_filter.py`), and
with `into` the result is merged with that over other keys (`merging.py`).

The one thing to know: tiles start at multiples of `recipe.tile` from key 0, and the maximum runs
over visited, visible keys only. A score of −inf is invisible, whatever made it so. Memory is linear
in length.
Source: SageAttention2 (arXiv 2411.10958), algorithm 1; the float steps as in FlashAttention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...layouts.blocks import BlockLayout
from ..base import Request
from . import probabilities
from .encode import Operands, working_dtype
from .merging import merge
from .products import add_product, non_finite_part, scores
from .second_filter import count, left_out
from .visibility import Visibility

LOG2E = 1.0 / math.log(2.0)


@dataclass(eq=False)
class State:
    """What online softmax carries along, one row per query."""

    top: Tensor  # m, base 2, [B, Hq, Lq, 1]
    total: Tensor  # l, exact, [B, Hq, Lq, 1]
    coded: Tensor  # l summed from P's codes, in units of 1; equals `total` unless asked for
    o: Tensor  # in code units, [B, Hq, Lq, Dv]


def attend(
    operands: Operands,
    request: Request,
    layout: BlockLayout | None,
    mask: Tensor | None,
    into: tuple[Tensor, Tensor] | None = None,
    tally: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention over the visible pairs: out `[B, Hq, Lq, Dv]`, lse float32 `[B, Hq, Lq]`."""
    visibility = Visibility(request, layout, mask)
    dtype = working_dtype(request)
    q = operands.q.values(0, request.q_length, dtype)
    if (q_scale := operands.q.row_scale()) is not None:
        q_scale = q_scale.expand(*q.shape[:3], 1)
    state = _start(request, dtype)
    for start in range(0, request.k_length, request.recipe.tile):
        stop = min(start + request.recipe.tile, request.k_length)
        first, last = visibility.rows(start, stop)
        if first >= last:
            continue
        rows, keys = slice(first, last), slice(start, stop)
        s = score_tile(q[:, :, rows], q_scale, operands, request, rows, keys)
        s, seen = hide(s, visibility, rows, keys)
        step(state, s, seen, operands, request, rows, keys, tally)
    return _finish(state, operands, request, into)


def score_tile(
    q: Tensor,
    q_scale: Tensor | None,
    operands: Operands,
    request: Request,
    rows: slice,
    keys: slice,
) -> Tensor:
    """Base-2 scores c · (q_scale · k_scale · ⟨q̂, k̂⟩ + q̄·k') of one tile.

    Args:
        q: Values of Q's codes for these queries, `[B, Hq, L, D]`.
        q_scale: Scale of every query, `[B, Hq, Lq, 1]`; None for 1.
        operands: K and the smoothing terms.
        request: The static facts.
        rows: The queries.
        keys: The keys.

    Returns:
        `[B, Hq, L, t]`.
    """
    group = request.q_heads // request.kv_heads
    s = scores(q, operands.k.values(keys.start, keys.stop, q.dtype))
    if q_scale is not None:
        s = s * q_scale[:, :, rows]
    if (k_scale := operands.k.row_scale()) is not None:
        if operands.k.rows is not None:
            k_scale = k_scale[:, :, keys]
        s = s * k_scale.transpose(-1, -2).repeat_interleave(group, 1)
    if operands.q_mean is not None:
        block = torch.arange(rows.start, rows.stop, device=q.device) // request.recipe.block_q
        s = s + scores(operands.q_mean, operands.k_smooth[:, :, keys])[:, :, block]
    return s * (request.scale * LOG2E)


def hide(
    s: Tensor, visibility: Visibility, rows: slice, keys: slice
) -> tuple[Tensor, Tensor | None]:
    """Add the additive mask and put −inf where a query may not see a key."""
    bounds = (rows.start, rows.stop, keys.start, keys.stop)
    seen = visibility.tile(*bounds)
    if (bias := visibility.bias(*bounds)) is not None:
        s = s + bias.to(s.dtype) * LOG2E
        seen = (bias != -torch.inf) if seen is None else seen & (bias != -torch.inf)
    if seen is not None:
        s = torch.where(seen, s, -torch.inf)
    return s, seen


def step(
    state: State,
    s: Tensor,
    seen: Tensor | None,
    operands: Operands,
    request: Request,
    rows: slice,
    keys: slice,
    tally: Tensor | None = None,
) -> None:
    """One step of online softmax: fold a tile of base-2 scores into the state."""
    recipe, view = request.recipe, (slice(None), slice(None), rows)
    old = state.top[view]
    top = torch.maximum(old, s.amax(-1, keepdim=True))
    if (drop := left_out(s, top, request, rows)) is not None:
        if tally is not None:
            count(tally, s, drop)
        # nothing is folded in: a row that skips raised no maximum, so α is 1 there as well
        s = torch.where(drop, -torch.inf, s)
        seen = ~drop if seen is None else seen & ~drop
    fade = probabilities.exp2_below(old, top)  # α
    p = probabilities.exp2_below(s, top)
    codes, factor = probabilities.write(s, p, top, recipe.p, request.dtype)
    state.top[view] = top
    state.total[view] = fade * state.total[view] + p.sum(-1, keepdim=True)
    if recipe.denominator == "quantized":
        worth = probabilities.unit(recipe.p) * (1.0 if factor is None else factor)
        coded = codes.sum(-1, keepdim=True) * worth
        state.coded[view] = fade * state.coded[view] + coded
    v = operands.v.values(keys.start, keys.stop, p.dtype)
    if (tile_scale := operands.v.tile_scale) is not None:
        tile_scale = tile_scale[:, :, keys.start // recipe.tile, None]  # [B, Hk, 1, Dv]
        tile_scale = tile_scale.repeat_interleave(s.shape[1] // tile_scale.shape[1], 1)
        factor = tile_scale if factor is None else factor * tile_scale
    o = fade * state.o[view]
    finite = v if operands.finite_v else torch.where(v.isfinite(), v, 0.0)
    if factor is None:
        o = add_product(o, codes, finite, recipe)
    else:  # exact integer sums, so where they are rounded does not matter
        o = o + factor * add_product(torch.zeros_like(o), codes, finite, recipe)
    state.o[view] = o if operands.finite_v else o + non_finite_part(codes, v, seen)


def _start(request: Request, dtype: torch.dtype) -> State:
    rows = (request.batch, request.q_heads, request.q_length)
    zeros = torch.zeros(*rows, 1, dtype=dtype, device=request.device)
    o = torch.zeros(*rows, request.v_dim, dtype=dtype, device=request.device)
    return State(torch.full_like(zeros, -torch.inf), zeros.clone(), zeros.clone(), o)


def _finish(
    state: State, operands: Operands, request: Request, into: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Divide, undo V's scale and smoothing, correct lse, and merge."""
    recipe, group = request.recipe, request.q_heads // request.kv_heads
    empty = state.top == -torch.inf
    total = state.coded if recipe.denominator == "quantized" else state.total
    o = state.o / torch.where(empty, 1.0, total) * probabilities.unit(recipe.p)
    if operands.v.scale is not None:
        o = o * operands.v.scale.repeat_interleave(group, 1)
    if operands.v_mean is not None:
        o = o + operands.v_mean.repeat_interleave(group, 1)
    o = torch.where(empty, 0.0, o)
    lse = math.log(2.0) * (state.top + torch.where(empty, 1.0, state.total).log2()).squeeze(-1)
    if operands.lse_shift is not None:
        lse = torch.where(empty.squeeze(-1), lse, lse + operands.lse_shift)
    if into is not None:
        o, lse = merge(into[0].to(o.dtype), into[1].to(lse.dtype), o, lse)
        return into[0].copy_(o), into[1].copy_(lse)
    out = _empty_in_order(request, operands.memory_order)
    return out.copy_(o), lse.to(torch.float32)


def _empty_in_order(request: Request, order: tuple[int, ...]) -> Tensor:
    """An output `[B, Hq, Lq, Dv]` whose axes lie in memory as those of q."""
    shape = (request.batch, request.q_heads, request.q_length, request.v_dim)
    out = torch.empty([shape[axis] for axis in order], dtype=request.dtype, device=request.device)
    return out.permute([order.index(axis) for axis in range(4)])
