"""The estimates of selections in C++: block means, antidiagonal masses, and spending a budget.

The one thing to know: the antidiagonal's products run on bytes (one scale for each group of
`stride` tokens), so its masses differ from the reference by about a thousandth; float64 inputs
never come here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layouts.budget import Budget
from . import native


def block_means(
    x: Tensor, rows: int, mean: Tensor | None, likeness: bool
) -> tuple[Tensor, Tensor | None]:
    """See `Backend.block_means`."""
    module, _ = native.load()
    blocks = -(-x.shape[2] // rows)
    means = torch.empty((*x.shape[:2], blocks, x.shape[3]), dtype=torch.float32)
    alike = torch.empty(means.shape[:3], dtype=torch.float32) if likeness else None
    if mean is not None:
        mean = mean.expand(*x.shape[:2], 1, x.shape[3]).float().contiguous()
    module.block_means(
        native.tensor(x),
        0 if mean is None else mean.data_ptr(),
        rows,
        means.data_ptr(),
        0 if alike is None else alike.data_ptr(),
        torch.get_num_threads(),
    )
    return means, alike


def antidiagonal(
    q: Tensor, k: Tensor, factor: float, stride: int, block: int, causal: bool
) -> Tensor:
    """See `Backend.antidiagonal`."""
    module, _ = native.load()
    grid = (-(-q.shape[2] // block), -(-k.shape[2] // block))
    out = torch.empty((*q.shape[:2], *grid), dtype=torch.float32)
    module.antidiagonal(
        native.tensor(q),
        native.tensor(k),
        factor,
        stride,
        block,
        causal,
        out.data_ptr(),
        torch.get_num_threads(),
    )
    return out


def choose(scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """See `Backend.choose`."""
    module, _ = native.load()
    batch, heads, rows, columns = scores.shape
    scores = scores.float().contiguous()
    counts = torch.empty((batch, heads, rows), dtype=torch.int32)
    indices = torch.empty((batch, heads, rows, columns), dtype=torch.int32)
    count = None if budget.count is None else _per_head(budget.count, heads)
    allowed, where_allowed = _map(allowed)
    kept, where_kept = _map(kept)
    module.choose(
        scores.data_ptr(),
        (batch, heads, rows, columns),
        None if budget.mass is None else [float(x) for x in _per_head(budget.mass, heads)],
        None if budget.share is None else [float(x) for x in _per_head(budget.share, heads)],
        None if count is None else [float(x) for x in count],
        [isinstance(x, float) for x in count or [0] * heads],
        budget.inclusive,
        budget.kept_first,
        budget.count_of == "visible",
        budget.at_least,
        where_allowed,
        where_kept,
        counts.data_ptr(),
        indices.data_ptr(),
        torch.get_num_threads(),
    )
    return counts, indices


def _per_head(value, heads: int) -> tuple:
    return value if isinstance(value, tuple) else (value,) * heads


def _map(x: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """A bool map `[…, nQ, nK]` to keep alive; its address and its strides over batch and heads."""
    x = x.reshape((1,) * (4 - x.dim()) + x.shape).contiguous()
    batch, heads = (
        0 if size == 1 else stride for size, stride in zip(x.shape[:2], x.stride()[:2], strict=True)
    )
    return x, (x.data_ptr(), batch, heads)
