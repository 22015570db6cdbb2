"""What the tests of SageBwd share: small and exact versions of it, and the plain definition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from foveate import SageBwd
from foveate.attn.precision.recipe import Recipe, WayBack


@dataclass(frozen=True)
class Exact(SageBwd):
    """SageBwd's way back with nothing written in integers: all that is left are its formulas."""

    rows: int = 5
    keys: int = 7

    def recipe(self, head_dim: int) -> Recipe:
        back = super().recipe(head_dim).back
        back = replace(back, rows=self.rows, keys=self.keys, scales="none", dp="fp32")
        return Recipe(smooth_k=self.smooth_k, smooth_q=self.smooth_q, block_q=6, back=back)


@dataclass(frozen=True)
class Small(SageBwd):
    """SageBwd with small tiles, so that few rows have many."""

    rows: int = 5
    keys: int = 7

    def recipe(self, head_dim: int) -> Recipe:
        recipe = super().recipe(head_dim)
        return replace(recipe, back=replace(recipe.back, rows=self.rows, keys=self.keys))


def codes(x: Tensor, largest: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """round(x / step) and the step, largest / levels; 0 and 0 where largest is 0."""
    step = largest / levels
    return torch.where(step == 0, 0, x / torch.where(step == 0, 1, step)).round(), step


def plainly(back: WayBack, written, dout, dlse, v, out, lse, shift, k_mean, seen, scale, starts):
    """The definition in `WayBack`, one head, one tile after another, integers as integers.

    Args:
        back: Sizes and scales.
        written: q̂ `[Lq, D]`, s_q `[Lq, 1]`, k̂ `[Lk, D]`, s_k `[Lk, 1]`.
        dout, dlse, v, out, lse, shift: `[Lq, Dv]`, `[Lq]`, `[Lk, Dv]`, `[Lq, Dv]`, `[Lq]`, `[Lq]`.
        k_mean: `[D]`.
        seen: Visible pairs, bool `[Lq, Lk]`.
        scale: Of the scores.
        starts: First rows of the blocks of rows, and Lq.

    Returns:
        dq, dk and dv.
    """
    q, s_q, k, s_k = written
    blocks = [slice(a, b) for a, b in pairwise(starts)]
    tiles = [slice(a, min(a + back.keys, len(k))) for a in range(0, len(k), back.keys)]
    dout_codes, s_o = torch.empty_like(dout), torch.empty_like(s_q)
    for b in blocks:
        largest = dout[b].abs().amax(1, keepdim=True)
        largest = largest.max() if back.scales == "block" else largest
        dout_codes[b], s_o[b] = codes(dout[b], largest, 127)
    s = scale * (q @ k.T) * s_q * s_k.T
    p = torch.where(seen & (lse > -torch.inf)[:, None], (s - (lse - shift)[:, None]).exp(), 0)
    dp = dout.bfloat16().to(p.dtype) @ v.bfloat16().to(p.dtype).T
    delta = (p * dp).sum(1) if back.delta == "products" else (dout * out).sum(1)
    ds = p * (dp - (delta - dlse)[:, None])
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for b in blocks:
        for t in tiles:
            if back.scales == "axis":
                one = p[b, t] * s_o[b]
                c, step = codes(one, one.amax(0), 255)
                dv[t] += step[:, None] * (c.T @ dout_codes[b])
                one = ds[b, t] * s_q[b]
                c, step = codes(one, one.abs().amax(0), 127)
                dk[t] += scale * step[:, None] * (c.T @ q[b])
                one = ds[b, t] * s_k[t].T
                c, step = codes(one, one.abs().amax(1, keepdim=True), 127)
                dq[b] += scale * step * (c @ k[t])
            else:
                c, step = codes(p[b, t], p[b, t].max(), 127)
                dv[t] += step * (c.T @ dout_codes[b]) * s_o[b.start]
                c, step = codes(ds[b, t], ds[b, t].abs().max(), 127)
                dk[t] += scale * step * (c.T @ (q[b] * s_q[b]))
                dq[b] += scale * step * (c @ (k[t] * s_k[t]))
    return dq + scale * dlse[:, None] * k_mean, dk, dv
