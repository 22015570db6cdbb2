"""Names of the package vsa (0.0), the forerunner of fastvideo-kernel: another order of arguments.

One vector of sizes serves queries and keys. What differs from the original is said in
`fastvideo_kernel`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from . import fastvideo_kernel


def video_sparse_attn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    variable_block_sizes: Tensor,
    topk: int,
    block_size: int | Sequence[int],
    compress_attn_weight: Tensor | None = None,
) -> Tensor:
    """Coarse stage, choice of cubes, fine stage, and their sum.

    Args:
        q, k, v: Tiled and padded, `[B, H, S, D]`.
        variable_block_sizes: Tokens of each cube, integers `[S / volume]`.
        topk: Cubes of keys kept for each cube of queries.
        block_size: A cube (sides), or a volume.
        compress_attn_weight: Gate of the coarse stage, `[B, H, S, D]` tiled; None is 1.

    Returns:
        `[B, H, S, D]`, tiled.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    return fastvideo_kernel.video_sparse_attn(
        q,
        k,
        v,
        variable_block_sizes,
        variable_block_sizes,
        topk,
        block_size,
        compress_attn_weight,
    )
