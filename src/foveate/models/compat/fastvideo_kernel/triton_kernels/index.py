"""Maps of blocks and lists of blocks, from one to the other."""

from __future__ import annotations

import torch
from torch import Tensor


def map_to_index(block_map: Tensor) -> tuple[Tensor, Tensor]:
    """Lists of a map.

    Args:
        block_map: `[B, H, Nq, Nkv]` or `[H, Nq, Nkv]`, nonzero where a block is visited.

    Returns:
        Blocks of keys, ascending and then -1, int32 `[B, H, Nq, Nkv]`, and how many, int32
        `[B, H, Nq]`.
    """
    visits = (block_map if block_map.dim() == 4 else block_map.unsqueeze(0)).bool()
    number = visits.shape[-1]
    every = torch.arange(number, device=visits.device).expand(visits.shape)
    listed = torch.where(visits, every, number).sort(-1).values
    return listed.masked_fill(listed == number, -1).int(), visits.sum(-1, dtype=torch.int32)


def topk_index_to_map(index: Tensor, num_kv_blocks: int, transpose_map: bool = False) -> Tensor:
    """The map of lists of one length.

    Args:
        index: Blocks of keys, integers `[B, H, Nq, topk]`.
        num_kv_blocks: Blocks of keys there are.
        transpose_map: The memory order of the result: blocks of keys outside of those of queries.

    Returns:
        bool `[B, H, Nq, num_kv_blocks]`.
    """
    visits = torch.zeros(*index.shape[:3], num_kv_blocks, dtype=torch.bool, device=index.device)
    visits = visits.scatter(-1, index.long(), True)
    return visits.transpose(2, 3).contiguous().transpose(2, 3) if transpose_map else visits


def invert_indices(
    q2k_idx: Tensor, q2k_num: Tensor, num_kv_blocks: int, max_q_per_kv: int | None = None
) -> tuple[Tensor, Tensor]:
    """For each block of keys the blocks of queries that visit it.

    Args:
        q2k_idx: Blocks of keys, integers `[B, H, Nq, M]`; the first `q2k_num` count.
        q2k_num: `[B, H, Nq]`.
        num_kv_blocks: Blocks of keys there are.
        max_q_per_kv: Length of the lists returned; None is Nq.

    Returns:
        Blocks of queries, ascending and then -1, int32 `[B, H, num_kv_blocks, max_q_per_kv]`; how
        many, int32 `[B, H, num_kv_blocks]`.

    Raises:
        ValueError: The shapes do not fit, or a block of keys has more visitors than fit.
    """
    if q2k_idx.dim() != 4 or q2k_num.shape != q2k_idx.shape[:3]:
        raise ValueError(
            f"q2k_idx has shape {list(q2k_idx.shape)} and q2k_num {list(q2k_num.shape)}; expected "
            "[B, H, Nq, M] and [B, H, Nq]"
        )
    used = torch.arange(q2k_idx.shape[3], device=q2k_idx.device) < q2k_num.unsqueeze(-1)
    spare = torch.where(used, q2k_idx, num_kv_blocks)  # one more block takes what does not count
    visits = topk_index_to_map(spare, num_kv_blocks + 1)[..., :num_kv_blocks]
    listed, counts = map_to_index(visits.transpose(2, 3))
    most = q2k_idx.shape[2] if max_q_per_kv is None else max_q_per_kv
    if counts.numel() and int(counts.max()) > most:
        raise ValueError(
            f"max_q_per_kv is {most}, and a block of keys has {int(counts.max())} visitors; "
            "expected at least as many, or None"
        )
    return listed[..., :most], counts
