"""Attending to stores where each head holds another number of tokens, in plain torch.

The one thing to know: it copies the tokens of all heads side by side, padded to the longest, so it
needs that much memory again; it is the definition, and what runs where no kernel does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layouts.memory import new_output
from .backend import DTYPES


def refuses(q: Tensor, k: Tensor) -> str | None:
    """None if `attend` can run, else the reason."""
    if q.dtype not in DTYPES:
        return f"needs float32, bfloat16, float16 or float64, not {str(q.dtype)[6:]}"
    if k.dtype not in (q.dtype, torch.int8):
        return f"needs keys in q's {str(q.dtype)[6:]} or int8, not {str(k.dtype)[6:]}"
    return None


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    start: Tensor,
    length: Tensor,
    scale: float,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One query per head against the tokens that its kv head holds; see `foveate.attn.headwise`."""
    batch, heads = start.shape
    exact = torch.float64 if q.dtype == torch.float64 else torch.float32
    place = torch.arange(max(1, int(length.max())), device=q.device)
    held = place < length[..., None]  # [B, Hk, longest]
    at = torch.where(held, start[..., None] + place, 0).flatten(1)

    def tokens(x: Tensor, factor: Tensor | None) -> Tensor:
        found = x.gather(1, at[..., None].expand(-1, -1, x.shape[2])).to(exact)
        if factor is not None:
            found = found * factor.gather(1, at)[..., None]
        found = found.view(batch, heads, len(place), x.shape[2])
        return found.masked_fill(~held[..., None], 0)  # what is not held may be anything

    queries = q.unflatten(1, (heads, -1)).squeeze(3).to(exact)  # [B, Hk, G, D]
    scores = queries @ tokens(k, k_scale).mT * scale
    scores = scores.masked_fill(~held[:, :, None], float("-inf"))
    lse = scores.logsumexp(-1, keepdim=True)
    weights = (scores - lse).exp().masked_fill(lse == float("-inf"), 0)
    found = weights @ tokens(v, v_scale)
    out = new_output(q, v.shape[2])
    out.copy_(found.flatten(1, 2).unsqueeze(2))
    return out, lse.flatten(1, 2).float()
