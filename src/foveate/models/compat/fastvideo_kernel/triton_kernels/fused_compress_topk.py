"""The coarse stage's parts: means of cubes, and the choice of the best."""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.attn.select.top_cubes import best


def fused_block_mean(x: Tensor, variable_block_sizes: Tensor, block_elements: int) -> Tensor:
    """Mean of the tokens of each cube of tiled `[B, H, S, D]`, in x's dtype.

    Slots of padding must hold zeros: they are summed, and not counted.
    """
    sums = x.unflatten(2, (-1, block_elements)).to(torch.promote_types(x.dtype, torch.float32))
    return (sums.sum(3) / variable_block_sizes.view(1, 1, -1, 1)).to(x.dtype)


def fused_topk_mask(scores: Tensor, topk: int) -> Tensor:
    """Map of the topk highest scores of each row of `[B, H, Nq, Nkv]`, bool; exactly topk."""
    indices, _ = best(scores.nan_to_num(nan=float("-inf"), posinf=None, neginf=None), topk)
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, indices.long(), True)
