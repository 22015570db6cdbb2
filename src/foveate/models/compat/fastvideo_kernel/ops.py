"""Both stages of VSA on tiled tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from foveate import BlockLayout
from foveate.attn import check
from foveate.attn.layouts.cubes import pool
from foveate.attn.select.top_cubes import top_cubes

from .tiles import attend, sizes_of, volume_of


def video_sparse_attn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    variable_block_sizes: Tensor,
    q_variable_block_sizes: Tensor,
    topk: int,
    block_size: int | Sequence[int] = 64,
    compress_attn_weight: Tensor | None = None,
) -> Tensor:
    """Coarse stage, choice of cubes, fine stage, and their sum.

    Args:
        q: Tiled queries, `[B, H, Sq, D]`.
        k, v: Tiled keys and values, `[B, H, Skv, D]`.
        variable_block_sizes: Tokens of each cube of keys, integers `[Skv / volume]`.
        q_variable_block_sizes: Tokens of each cube of queries.
        topk: Cubes of keys kept for each cube of queries.
        block_size: A cube (sides), or a volume.
        compress_attn_weight: Gate of the coarse stage, `[B, H, Sq, D]` tiled; None is 1.

    Returns:
        `[B, H, Sq, D]`, tiled; rows of padding are not to be used.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v)
    check.check_shapes(q.shape, k.shape, v.shape)
    volume = volume_of(block_size)
    k_sizes = sizes_of("variable_block_sizes", variable_block_sizes, "k", k, volume)
    q_sizes = sizes_of("q_variable_block_sizes", q_variable_block_sizes, "q", q, volume)
    number = len(k_sizes)
    if isinstance(topk, bool) or not isinstance(topk, int) or not 1 <= topk <= number:
        raise ValueError(f"topk is {topk!r}; expected an int from 1 to the {number} cubes of k")
    scale = q.shape[3] ** -0.5
    # in the inputs' dtype, as there: which cubes win may hang on it
    means = [
        pool(x, sizes, volume).to(x.dtype)
        for x, sizes in ((q, q_sizes), (k, k_sizes), (v, k_sizes))
    ]
    with torch.no_grad():
        counts, indices = top_cubes(*means[:2], topk, scale)
    layout = BlockLayout(counts, indices, (volume, volume), (q.shape[2], k.shape[2]))
    fine, _ = attend(q, k, v, layout, k_sizes)
    coarse = scaled_dot_product_attention(
        *means, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    ).to(q.dtype)
    lifted = coarse.unsqueeze(3).expand(-1, -1, -1, volume, -1).flatten(2, 3)
    return fine + (lifted if compress_attn_weight is None else lifted * compress_attn_weight)


def video_sparse_attn_bshd(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    variable_block_sizes: Tensor,
    q_variable_block_sizes: Tensor,
    topk: int,
    block_size: int | Sequence[int] = 64,
    compress_attn_weight: Tensor | None = None,
) -> Tensor:
    """`video_sparse_attn` for `[B, S, H, D]`; any volume."""
    check.check_tensors(q=q, k=k, v=v)
    gate = None if compress_attn_weight is None else compress_attn_weight.transpose(1, 2)
    out = video_sparse_attn(
        *(x.transpose(1, 2) for x in (q, k, v)),
        variable_block_sizes,
        q_variable_block_sizes,
        topk,
        block_size,
        gate,
    )
    return out.transpose(1, 2)
