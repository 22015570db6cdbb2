"""The two matrix products of attention, with exact codes and modelled accumulators.

The one thing to know: codes are small integers or short floats, so a float32 product of them is
exact up to the order of the sum (|⟨q̂, k̂⟩| ≤ D · 127² < 2^24 up to D = 1040). Rounding inside an
accumulator is modelled explicitly, one step per `chain` keys. Query heads that share a kv head are
stacked as rows, so K and V are never repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...formats.rounding import round_fp16, truncate_fp22
from ...precision.recipe import Recipe


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a @ b without TF32 or bfloat16 shortcuts, whatever the process has switched on."""
    if a.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        return (a.double() @ b.double()).float()
    return a @ b


def stack_heads(x: Tensor, kv_heads: int) -> Tensor:
    """`[B, Hq, L, D]` to `[B, Hk, G·L, D]`: rows of query heads that share a kv head."""
    batch, heads, length, dim = x.shape
    return x.reshape(batch, kv_heads, heads // kv_heads * length, dim)


def scores(q: Tensor, k: Tensor) -> Tensor:
    """⟨q_i, k_j⟩ for each query and the keys of one tile.

    Args:
        q: `[B, Hq, L, D]`.
        k: `[B, Hk, t, D]`.

    Returns:
        `[B, Hq, L, t]`.
    """
    batch, heads, length, _ = q.shape
    stacked = matmul(stack_heads(q, k.shape[1]), k.transpose(-1, -2))
    return stacked.view(batch, heads, length, k.shape[2])


def add_product(o: Tensor, p: Tensor, v: Tensor, recipe: Recipe) -> Tensor:
    """o + p·v, summed as `recipe.accumulate` says.

    Args:
        o: The output so far, `[B, Hq, L, Dv]`, in the units of the codes.
        p: Codes of P, `[B, Hq, L, t]`.
        v: Codes of V, `[B, Hk, t, Dv]`.
        recipe: accumulate and chain.

    Returns:
        The new output, `[B, Hq, L, Dv]`.
    """
    shape = o.shape
    o, p = stack_heads(o, v.shape[1]), stack_heads(p, v.shape[1])
    match recipe.accumulate:
        case "fp32":
            o = o + matmul(p, v)
        case "fp22":
            o = _chain(o, p, v, recipe.chain, truncate_fp22)
        case "fp22+fp32":
            o = o + _chain(torch.zeros_like(o), p, v, recipe.chain, truncate_fp22)
        case "fp16":
            o = _chain(round_fp16(o), p, v, recipe.chain, round_fp16)
        case "fp16+fp32":
            o = o + _chain(torch.zeros_like(o), p, v, recipe.chain, round_fp16)
    return o.view(shape)


def _chain(total: Tensor, p: Tensor, v: Tensor, step: int, rounding) -> Tensor:
    """Add p·v to total, `step` keys at a time, rounding the sum after each."""
    for start in range(0, p.shape[-1], step):
        keys = slice(start, start + step)
        total = rounding(total + matmul(p[..., keys], v[:, :, keys]))
    return total


def non_finite_part(p: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """What NaN and infinite values of V add to p·v by IEEE rules, for visible keys only.

    A key that a query may not see must not spoil it through 0 · NaN, so finite and other values are
    multiplied apart. This gives the second part: 0, ±infinity or NaN, `[B, Hq, L, Dv]`.

    Args:
        p: Probabilities, `[B, Hq, L, t]`.
        v: Values, `[B, Hk, t, Dv]`.
        seen: Visible pairs, broadcastable to p; None sees all.
    """
    visible = torch.ones_like(p) if seen is None else seen.expand_as(p).to(p.dtype)
    positive, zero = visible * (p > 0), visible * (p == 0)

    def count(rows: Tensor, keys: Tensor) -> Tensor:
        stacked = matmul(stack_heads(rows, v.shape[1]), keys.to(p.dtype))
        return stacked.view(*p.shape[:3], v.shape[-1])

    up, down = count(positive, v == torch.inf), count(positive, v == -torch.inf)
    nan = count(visible, v.isnan()) + count(zero, v.isinf())
    part = torch.where(up > 0, torch.inf, 0.0) + torch.where(down > 0, -torch.inf, 0.0)
    return torch.where(nan > 0, torch.nan, part).to(p.dtype)
