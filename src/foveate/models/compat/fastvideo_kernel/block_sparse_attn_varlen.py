"""The fine stage for several sequences of different lengths in one call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from foveate import BlockLayout
from foveate.attn import check

from .tiles import attend
from .vsa_utils import get_non_pad_index

_TILE = 128


def block_sparse_attn_varlen(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_kv: Tensor,
    q2k_idx_list: Sequence[Tensor],
    q2k_num_list: Sequence[Tensor],
    variable_block_sizes_list: Sequence[Tensor],
    q_variable_block_sizes_list: Sequence[Tensor] | None = None,
    block_size: int = 64,
) -> Tensor:
    """Attention of packed sequences, each over its own lists of blocks.

    Args:
        q: `[total_q, H, D]`, the tokens of all sequences without padding, cube by cube.
        k, v: `[total_kv, H, D]`.
        cu_seqlens_q, cu_seqlens_kv: Where sequences begin and end, integers `[n + 1]`.
        q2k_idx_list: For each sequence `[1, H, Nq, M]`, blocks of its own keys.
        q2k_num_list: For each sequence `[1, H, Nq]`.
        variable_block_sizes_list: For each sequence the tokens of its blocks of keys, `[Nkv]`.
        q_variable_block_sizes_list: The same for its queries, `[Nq]`; None where all are full.
        block_size: Slots of a block.

    Returns:
        `[total_q, H, D]`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v)
    number = len(q2k_idx_list)
    q_list = q_variable_block_sizes_list
    if q_list is None:
        q_list = [x.new_full(x.shape[2:3], block_size, dtype=torch.int32) for x in q2k_idx_list]
    for name, value in (
        ("q2k_num_list", q2k_num_list),
        ("variable_block_sizes_list", variable_block_sizes_list),
        ("q_variable_block_sizes_list", q_list),
    ):
        if len(value) != number:
            raise ValueError(
                f"{name} has {len(value)} sequences; expected {number}, as in q2k_idx_list"
            )
    # keys of a sequence begin at a whole tile of the kernels: each gives what it gives alone
    k_list = [
        pad(x, (0, -len(x) % (max(_TILE // block_size, 1)))) for x in variable_block_sizes_list
    ]
    q_sizes = _joined("cu_seqlens_q", cu_seqlens_q, q_list, q.device)
    k_sizes = _joined("cu_seqlens_kv", cu_seqlens_kv, k_list, k.device)
    width = max(x.shape[3] for x in q2k_idx_list)
    first, lists = 0, []
    for idx, sizes in zip(q2k_idx_list, k_list, strict=True):
        lists.append(pad(idx, (0, width - idx.shape[3])) + first)
        first += len(sizes)
    counts, indices = torch.cat(list(q2k_num_list), 2).int(), torch.cat(lists, 2)
    used = torch.arange(width, device=indices.device) < counts.unsqueeze(-1)
    indices = torch.where(used, indices, first).sort(-1).values.clamp(max=first - 1).int()
    q_at, k_at = (get_non_pad_index(x, block_size) for x in (q_sizes, k_sizes))
    slots = (len(q_sizes) * block_size, len(k_sizes) * block_size)
    tiled = [
        _spread(x, at, length)
        for x, at, length in ((q, q_at, slots[0]), (k, k_at, slots[1]), (v, k_at, slots[1]))
    ]
    layout = BlockLayout(counts, indices, (block_size, block_size), slots)
    out, _ = attend(*tiled, layout, k_sizes)
    return out[0].transpose(0, 1)[q_at]


def _joined(name: str, ends: Tensor, sizes: Sequence[Tensor], device: torch.device) -> Tensor:
    """Tokens of the blocks of all sequences, once they agree with where sequences end."""
    found = [0, *torch.stack([x.sum() for x in sizes]).cumsum(0).tolist()]
    if ends.tolist() != found:
        raise ValueError(f"{name} is {ends.tolist()}; expected {found}, the sums of block sizes")
    return torch.cat([x.to(device) for x in sizes])


def _spread(x: Tensor, at: Tensor, length: int) -> Tensor:
    """`[L, H, D]` to `[1, H, length, D]`, zeros where no token stands."""
    slots = x.new_zeros(length, *x.shape[1:])
    return slots.index_copy(0, at, x).transpose(0, 1).unsqueeze(0)
