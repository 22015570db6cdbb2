"""Where results lie in memory. Backends and the operators' fakes share this one rule."""

from __future__ import annotations

import torch
from torch import Tensor


def new_output(q: Tensor, v_dim: int) -> Tensor:
    """Allocate `out` `[B, Hq, Lq, Dv]` in the memory order of q.

    If heads vary faster than tokens in q (a transposed `[B, L, H, D]` tensor), `out` is such a view
    as well, so a caller that transposes back gets a contiguous tensor for free. Else it is
    contiguous.

    Args:
        q: Queries, `[B, Hq, Lq, D]`.
        v_dim: Dv.
    """
    batch, heads, length, _ = q.shape
    if q.stride(1) < q.stride(2):
        return q.new_empty((batch, length, heads, v_dim)).transpose(1, 2)
    return q.new_empty((batch, heads, length, v_dim))


def new_lse(q: Tensor) -> Tensor:
    """Allocate `lse`, float32 `[B, Hq, Lq]`, contiguous."""
    return q.new_empty(q.shape[:3], dtype=torch.float32)
