"""The fine stage alone: attention over a map or over lists of blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from foveate import BlockLayout
from foveate.attn import check

from .tiles import attend, blocks_of, sizes_of
from .triton_kernels.index import map_to_index


def block_sparse_attn(
    q: Tensor, k: Tensor, v: Tensor, block_map: Tensor, variable_block_sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Attention over the blocks of a map.

    Args:
        q: `[B, H, Sq, D]`.
        k, v: `[B, H, Skv, D]`.
        block_map: bool `[B, H, Nq, Nkv]` or `[H, Nq, Nkv]`.
        variable_block_sizes: Tokens of each block of keys, `[Nkv]`.

    Returns:
        out `[B, H, Sq, D]`, and the natural log-sum-exp, float32 `[B, H, Sq]`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v, block_map=block_map)
    if block_map.dtype != torch.bool or block_map.dim() not in (3, 4):
        raise TypeError(
            f"block_map is {check.short(block_map.dtype)} {list(block_map.shape)}; expected bool "
            "[B, H, Nq, Nkv] or [H, Nq, Nkv]"
        )
    visits = block_map if block_map.dim() == 4 else block_map.unsqueeze(0)
    block = blocks_of(q, k, visits.shape[-2], visits.shape[-1])
    layout = BlockLayout.from_dense(visits, block, (q.shape[2], k.shape[2]))
    return attend(
        q, k, v, layout, sizes_of("variable_block_sizes", variable_block_sizes, "k", k, block[1])
    )


def block_sparse_attn_from_indices(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    q2k_idx: Tensor,
    q2k_num: Tensor,
    variable_block_sizes: Tensor,
) -> tuple[Tensor, Tensor]:
    """Attention over listed blocks.

    Args:
        q: `[B, H, Sq, D]`.
        k, v: `[B, H, Skv, D]`.
        q2k_idx: Blocks of keys, integers `[B, H, Nq, M]` in any order; the first `q2k_num` count.
        q2k_num: `[B, H, Nq]`.
        variable_block_sizes: Tokens of each block of keys, `[Nkv]`.

    Returns:
        As `block_sparse_attn`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v, q2k_idx=q2k_idx, q2k_num=q2k_num)
    number = len(variable_block_sizes)
    block = blocks_of(q, k, q2k_idx.shape[-2], number)
    used = torch.arange(q2k_idx.shape[-1], device=q2k_idx.device) < q2k_num.unsqueeze(-1)
    listed = torch.where(used, q2k_idx, number).sort(dim=-1).values[..., :number]
    bad = used & ((q2k_idx < 0) | (q2k_idx >= number))
    if q2k_idx.device.type == "cpu" and bool(bad.any()):
        raise ValueError(f"q2k_idx names blocks outside of 0 to {number - 1}; expected blocks of k")
    layout = BlockLayout(
        q2k_num.int(), listed.clamp(max=number - 1).int(), block, (q.shape[2], k.shape[2])
    )
    return attend(
        q, k, v, layout, sizes_of("variable_block_sizes", variable_block_sizes, "k", k, block[1])
    )


block_sparse_attn_triton = block_sparse_attn_from_indices
_map_to_index = map_to_index  # programs import it from here
