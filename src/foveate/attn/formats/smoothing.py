"""Smoothing: take away a mean before quantising, and put back exactly what it contributed.

The one thing to know: means are summed in float64, so huge and long inputs neither overflow nor
drift; subtraction is in the caller's float32 (or float64), never in bfloat16, whose rounding would
cost half an INT8 step.

K: any constant row k̄ shifts a whole row of scores by q·k̄: softmax does not change, lse does.
Q: q̄ per block changes scores by q̄·k', which is added back.
V: Σ p / l = 1, so v̄ is added to the output.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

SAMPLE = 256
"""The fewest rows that stand for all in a sampled mean."""


def sampling_step(length: int, every: int) -> int:
    """The step of a sampled mean of `length` rows: a power of two up to `every`."""
    return 1 << (max(1, min(every, length // SAMPLE)).bit_length() - 1)


def mean_of_rows(x: Tensor, every: int = 1) -> Tensor:
    """Mean over all rows, `[B, H, L, D]` to `[B, H, 1, D]`, in x's dtype.

    Any constant may be subtracted, so a mean over every n-th row (at least 256 of them) smooths as
    well and reads less memory. Source: SageAttention (arXiv 2410.02367), section 3.1.
    """
    sample = x[:, :, :: sampling_step(x.shape[2], every)]
    return sample.mean(2, keepdim=True, dtype=torch.float64).to(x.dtype)


def mean_of_blocks(x: Tensor, rows: int) -> Tensor:
    """Mean over each block of rows, `[B, H, L, D]` to `[B, H, ceil(L / rows), D]`, in x's dtype.

    The last block may be shorter; its mean is over the rows that it has. Source: SageAttention2
    (arXiv 2411.10958), section 3.1.
    """
    length = x.shape[2]
    sums = pad(x, (0, 0, 0, -length % rows)).unflatten(2, (-1, rows)).sum(3, dtype=torch.float64)
    counts = torch.full((sums.shape[2], 1), rows, dtype=torch.float64, device=x.device)
    counts[-1] = length - rows * (len(counts) - 1)
    return (sums / counts).to(x.dtype)
