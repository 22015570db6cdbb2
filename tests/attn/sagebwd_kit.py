"""What the tests of SageBwd share: inputs, gradients and their errors, the plain definition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from foveate import SageBwd, attention
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


def drawn(generator: np.random.Generator, size: float = 1.0, length: int = 1024) -> list[Tensor]:
    """q, k, v and dO, float64 `[1, 1, length, 64]`: N(0, size²), N(0, size²), N(0, 1), N(0, 1)."""
    sizes = (size, size, 1.0, 1.0)
    return [torch.from_numpy(s * generator.standard_normal((1, 1, length, 64))) for s in sizes]


def biased(seed: int = 0) -> list[Tensor]:
    """As `drawn`, with offsets that all tokens share: 2σ per channel in q, 8σ in k, and 2 in v."""
    generator = np.random.default_rng(seed)
    q, k, v, dout = drawn(generator)
    shift = [torch.from_numpy(generator.standard_normal((1, 1, 1, 64))) for _ in range(2)]
    return [q + 2 * shift[0], k + 8 * shift[1], v + 2, dout]


def both_ways(tensors: list[Tensor], precision, **options) -> tuple[Tensor, ...]:
    """out and the gradients of q, k and v."""
    q, k, v = (x.detach().clone().requires_grad_() for x in tensors[:3])
    out = attention(q, k, v, precision=precision, backend="reference", **options)
    return out.detach(), *torch.autograd.grad(out, (q, k, v), tensors[3])


def errors(tensors: list[Tensor], *precisions: SageBwd) -> list[dict[str, float]]:
    """Relative L2 error of out, dQ, dK and dV in float32 against exact numbers, per precision."""
    exact = both_ways(tensors, "native")
    found = []
    for precision in precisions:
        got = both_ways([x.float() for x in tensors], precision)
        off = [float((a - b).norm() / b.norm()) for a, b in zip(got, exact, strict=True)]
        found.append(dict(zip(("o", "dq", "dk", "dv"), off, strict=True)))
    return found


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
