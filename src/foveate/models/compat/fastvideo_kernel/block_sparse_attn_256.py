"""The fine stage by names that say how large its blocks are; here the map says it."""

from __future__ import annotations

from torch import Tensor

from .block_sparse_attn import block_sparse_attn


def block_sparse_attn_256(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    logical_block_map_256: Tensor,
    logical_variable_block_sizes_256: Tensor,
) -> tuple[Tensor, Tensor]:
    """`block_sparse_attn` for `[B, H, S, D]`; blocks of any size."""
    return block_sparse_attn(q, k, v, logical_block_map_256, logical_variable_block_sizes_256)


def block_sparse_attn_256_bshd(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    logical_block_map_256: Tensor,
    logical_variable_block_sizes_256: Tensor,
) -> tuple[Tensor, Tensor]:
    """The same for `[B, S, H, D]`; the log-sum-exp is `[B, H, S]` all the same."""
    out, lse = block_sparse_attn(
        *(x.transpose(1, 2) for x in (q, k, v)),
        logical_block_map_256,
        logical_variable_block_sizes_256,
    )
    return out.transpose(1, 2), lse


def block_sparse_attn_128(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    logical_block_map_128: Tensor,
    logical_variable_block_sizes_128: Tensor,
) -> tuple[Tensor, Tensor]:
    """`block_sparse_attn` for `[B, H, S, D]`; blocks of any size."""
    return block_sparse_attn_256(q, k, v, logical_block_map_128, logical_variable_block_sizes_128)


def block_sparse_attn_128_bshd(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    logical_block_map_128: Tensor,
    logical_variable_block_sizes_128: Tensor,
) -> tuple[Tensor, Tensor]:
    """The same for `[B, S, H, D]`; the log-sum-exp is `[B, H, S]` all the same."""
    return block_sparse_attn_256_bshd(
        q, k, v, logical_block_map_128, logical_variable_block_sizes_128
    )
