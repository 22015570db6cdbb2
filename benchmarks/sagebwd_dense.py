"""SageBwd on whole matrices: the reference's numbers, many times faster on a GPU, for studies.

The one thing to know: all tiles lie in extra dimensions, so there is no loop over them; memory is
quadratic in length, which is fine up to some thousand tokens. With `compiled` set torch.compile
fuses what lies between the products. Sums differ from the reference's by float32 rounding alone.

    P̂ = round(levels · 2^(s − m_tile))    O = Σ_tile 2^(m_tile − M) / levels · v_scale · ⟨P̂, V̂⟩ / l

with M the row's maximum over all tiles, where the loop has the running one: the factors cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from foveate import SageBwd
from foveate.attn.formats.quantized import SMALLEST
from foveate.attn.formats.smoothing import sampling_step
from foveate.attn.precision.recipe import Recipe

LOG2E = 1.0 / math.log(2.0)


@dataclass(frozen=True)
class Facts:
    """What the two passes have to know, in plain values that a compiler can trace."""

    axis: bool  # scales "axis", else "block"
    products: bool  # delta "products", else "out"
    mean_every: int
    block_q: int
    tile: int  # keys per step and scale in the forward
    rows: int
    keys: int
    levels: int  # of P in the forward
    causal: bool


def dense(
    q: Tensor, k: Tensor, v: Tensor, precision: SageBwd, causal: bool, compiled: bool = False
) -> Tensor:
    """`foveate.attention(q, k, v, precision=precision, causal=causal)`, differentiable.

    Args:
        q: `[B, Hq, L, D]`.
        k, v: `[B, Hk, L, D]`; L is a multiple of 128.
        precision: Its scales and delta may be chosen; the rest is as by default.
        causal: As there.
        compiled: Use torch.compile.

    Raises:
        ValueError: Another length, or a choice that this does not know.
    """
    length = q.shape[2]
    if length % 128 or k.shape[2] != length:
        raise ValueError(
            f"q and k have {length} and {k.shape[2]} tokens; expected one multiple of 128"
        )
    if precision != SageBwd(precision.scales, precision.delta):
        raise ValueError(f"precision is {precision}; expected only scales and delta to be chosen")
    facts = _facts(precision.recipe(q.shape[3]), causal)
    return _Attention.apply(q, k, v, facts, compiled)


def _facts(recipe: Recipe, causal: bool) -> Facts:
    back = recipe.back
    return Facts(
        back.scales == "axis",
        back.delta == "products",
        recipe.mean_every,
        recipe.block_q,
        recipe.tile,
        back.rows,
        back.keys,
        recipe.p.levels,
        causal,
    )


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, facts, compiled):
        ctx.facts, ctx.compiled = facts, compiled
        with torch.autocast(q.device.type, enabled=False):
            out, lse = _passes(compiled)[0](q, k, v, facts)
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx, dout):
        with torch.autocast(dout.device.type, enabled=False):
            grads = _passes(ctx.compiled)[1](dout, *ctx.saved_tensors, ctx.facts)
        return (*grads, None, None)


@lru_cache
def _passes(compiled: bool):
    both = (_forward, _backward)
    return tuple(torch.compile(x, dynamic=False) for x in both) if compiled else both


def _forward(q: Tensor, k: Tensor, v: Tensor, facts: Facts) -> tuple[Tensor, Tensor]:
    """out in q's dtype, and lse relative to smoothed keys in base 2, `[B, Hk, G·L, 1]`."""
    s, _, _, v_smooth = _scores(q, k, v, facts)
    v_mean = 0.0
    if facts.axis:
        v_mean = v_smooth[:, :, :: sampling_step(v.shape[2], facts.mean_every)]
        v_mean = v_mean.mean(2, keepdim=True)
        v_smooth = v_smooth - v_mean
    tiles = v_smooth.unflatten(2, (-1, facts.tile))
    step = _step(tiles, (3,) if facts.axis else (3, 4), 127)
    values = (tiles / step).round().mul(step).flatten(2, 3)
    parts = s.unflatten(3, (-1, facts.tile))  # [B, Hk, G·L, tiles, keys]
    tile_top = parts.amax(4, keepdim=True)
    top = tile_top.amax(3, keepdim=True)
    total = torch.exp2(parts - top).sum((3, 4)).unsqueeze(3)
    codes = torch.exp2(parts - torch.where(tile_top == -torch.inf, 0.0, tile_top))
    codes = (codes * facts.levels).round() * (torch.exp2(tile_top - top) / facts.levels)
    out = codes.flatten(3) @ values / total + v_mean
    lse = top.squeeze(4) + total.log2()
    return out.view(*q.shape[:3], -1).to(q.dtype), lse


def _backward(dout, q, k, v, out, lse, facts: Facts) -> tuple[Tensor, Tensor, Tensor]:
    batch, heads, length, dim = q.shape
    kv_heads = k.shape[1]
    scale = dim**-0.5
    s, queries, keys, _ = _scores(q, k, v, facts)
    p = torch.exp2(s - lse)  # [B, Hk, G·L, L]
    wide = dout.float().reshape(batch, kv_heads, -1, dout.shape[3])
    left, right = (x.bfloat16().float() for x in (wide, v))
    dp = left @ right.transpose(2, 3)
    if facts.products:
        delta = (p * dp).sum(3, keepdim=True)
    else:
        delta = (wide * out.float().reshape(wide.shape)).sum(3, keepdim=True)
    ds = p * (dp - delta)
    parts = (kv_heads, heads // kv_heads, length // facts.rows, facts.rows)
    if facts.axis:
        step = _step(wide, (3,), 127)
        dout_codes = (wide / step).round()
        for_v = _rounded(p * step, parts, facts.keys, (4,), 255)
        for_k = _rounded(ds * queries[1], parts, facts.keys, (4,), 127)
        for_q = _rounded(ds * keys[1].transpose(2, 3), parts, facts.keys, (6,), 127)
        queries, keys = queries[0], keys[0]
    else:
        blocks = wide.unflatten(2, (-1, facts.rows))
        step = _step(blocks, (3, 4), 127)
        dout_codes = ((blocks / step).round() * step).flatten(2, 3)
        for_v = _rounded(p, parts, facts.keys, (4, 6), 127)
        for_k = for_q = _rounded(ds, parts, facts.keys, (4, 6), 127)
        queries, keys = queries[0] * queries[1], keys[0] * keys[1]
    dv = for_v.transpose(2, 3) @ dout_codes
    dk = for_k.transpose(2, 3) @ queries * scale
    dq = (for_q @ keys * scale).view(q.shape)
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def _scores(q: Tensor, k: Tensor, v: Tensor, facts: Facts):
    """Base-2 scores `[B, Hk, G·L, L]`; codes and row scales of Q and K; v in float32."""
    batch, _, length, dim = q.shape
    keys = k.float()
    keys = keys - keys[:, :, :: sampling_step(length, facts.mean_every)].mean(2, keepdim=True)
    queries = q.float().reshape(batch, k.shape[1], -1, dim)
    if facts.axis:
        queries = _codes(queries.unsqueeze(3), (4,))
    else:
        queries = _codes(queries.unflatten(2, (-1, facts.block_q)), (3, 4))
    keys = _codes(keys.unflatten(2, (-1, facts.tile)), (3, 4))
    s = queries[0] @ keys[0].transpose(2, 3)
    s = s * (queries[1] * (dim**-0.5 * LOG2E)) * keys[1].transpose(2, 3)
    if facts.causal:
        place = torch.arange(length, device=q.device)
        row = place.repeat(s.shape[2] // length)
        s = torch.where(place <= row.unsqueeze(1), s, -torch.inf)
    return s, queries, keys, v.float()


def _codes(x: Tensor, part: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Codes of x `[B, H, blocks, rows, D]` and the scale of each row, blocks and rows joined."""
    step = _step(x, part, 127)
    scale = step.expand(*x.shape[:4], 1)
    return (x / step).round().flatten(2, 3), scale.flatten(2, 3)


def _rounded(x: Tensor, parts: tuple[int, ...], keys: int, part: tuple[int, ...], levels: int):
    """step · round(x / step) by tiles: `[B, Hk, G, blocks, rows, tiles, keys]`."""
    tiles = x.unflatten(2, parts[1:]).unflatten(5, (-1, keys))
    step = _step(tiles, part, levels)
    return ((tiles / step).round() * step).view(x.shape)


def _step(x: Tensor, part: tuple[int, ...], levels: int) -> Tensor:
    return x.abs().amax(part, keepdim=True).clamp_min(SMALLEST) / levels
