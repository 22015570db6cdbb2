"""The way back through attention, tile by tile, in plain torch.

    P = exp(s − lse)      δ = Σ dO ∘ O − dlse          (s: scores with their mask)
    dV = Pᵀ·dO            dP = dO·Vᵀ      dS = P ∘ (dP − δ)
    dQ = scale · dS·K     dK = scale · dSᵀ·Q

The one thing to know: P comes back from lse, so nothing as large as queries × keys is kept or made.
Source: FlashAttention-2 (Dao, 2023), algorithm 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layouts.blocks import BlockLayout
from ..base import Request
from .visibility import Visibility

TILE = 128


def backward(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    request: Request,
    layout: BlockLayout | None,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `Backend.backward`."""
    dtype = torch.promote_types(q.dtype, torch.float32)
    group = request.q_heads // request.kv_heads
    visibility = Visibility(request, layout, mask)
    rows, dout, out = (x.to(dtype) for x in (q, dout, out))
    delta = (dout * out).sum(-1, keepdim=True)
    if dlse is not None:
        delta = delta - dlse.to(dtype).unsqueeze(-1)
    top = lse.to(dtype).unsqueeze(-1)
    top = torch.where(top == -torch.inf, torch.inf, top)  # rows that see nothing: P = 0
    dq, dk, dv = (torch.zeros(x.shape, dtype=dtype, device=x.device) for x in (q, k, v))
    for start in range(0, request.k_length, TILE):
        stop = min(start + TILE, request.k_length)
        first, last = visibility.rows(start, stop)
        if first >= last:
            continue
        part, keys = slice(first, last), slice(start, stop)
        each = [x[:, :, keys].to(dtype).repeat_interleave(group, 1) for x in (k, v)]
        bounds = (first, last, start, stop)
        s = rows[:, :, part] @ each[0].transpose(-1, -2) * request.scale
        if (bias := visibility.bias(*bounds)) is not None:
            s = s + bias.to(dtype)
        p = (s - top[:, :, part]).exp()
        if (seen := visibility.tile(*bounds)) is not None:
            p = torch.where(seen, p, 0.0)
        ds = p * (dout[:, :, part] @ each[1].transpose(-1, -2) - delta[:, :, part])
        ds = torch.where(p == 0, 0.0, ds) * request.scale  # hidden values may be infinite
        dv[:, :, keys] = _grouped(p.transpose(-1, -2) @ dout[:, :, part], group)
        dk[:, :, keys] = _grouped(ds.transpose(-1, -2) @ rows[:, :, part], group)
        dq[:, :, part] += ds @ each[0]
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def _grouped(x: Tensor, group: int) -> Tensor:
    """Sum over the query heads that share a kv head, `[B, Hq, …]` to `[B, Hk, …]`."""
    return x.unflatten(1, (-1, group)).sum(2)
