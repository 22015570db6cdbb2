"""Granularity: which rows of Q or K share a scale, as nothing but an index map.

The one thing to know: every granularity becomes one scale per row after indexing, so kernels need a
row scale and a column scale and never the name of the granularity.
"""

from __future__ import annotations

import torch
from torch import Tensor

KEYS_PER_WARP = 64


def query_groups(
    length: int, granularity: str, block_q: int, warp_q: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, int]:
    """Scale group of each query row.

    block: n // block_q. warp: n // warp_q. thread: (n // warp_q) · 8 + n mod 8, the rows that one
    lane of an m16n8 accumulator owns. Source: SageAttention2 (arXiv 2411.10958), section 3.2.

    Args:
        length: Number of query rows.
        granularity: tensor, block, warp, thread or token.
        block_q: Rows per block.
        warp_q: Rows per warp.
        device: Where the map lives.

    Returns:
        Group numbers, int64 `[length]`, and how many groups there are (some may be empty).
    """
    n = torch.arange(length, device=device)
    if granularity == "thread":
        return n // warp_q * 8 + n % 8, _ceil(length, warp_q) * 8
    return _runs(n, length, granularity, {"block": block_q, "warp": warp_q})


def key_groups(
    length: int, granularity: str, tile: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, int]:
    """Scale group of each key row.

    block: n // tile. warp: n // 64. thread: (n // 64) · 4 + (n mod 8) // 2, the columns that one
    lane owns. Source: SageAttention2 (arXiv 2411.10958), section 3.2.

    Args:
        length: Number of keys.
        granularity: tensor, block, warp, thread or token.
        tile: Keys per tile of the online softmax.
        device: Where the map lives.

    Returns:
        Group numbers, int64 `[length]`, and how many groups there are (some may be empty).
    """
    n = torch.arange(length, device=device)
    if granularity == "thread":
        return n // KEYS_PER_WARP * 4 + n % 8 // 2, _ceil(length, KEYS_PER_WARP) * 4
    return _runs(n, length, granularity, {"block": tile, "warp": KEYS_PER_WARP})


def _runs(n: Tensor, length: int, granularity: str, rows: dict[str, int]) -> tuple[Tensor, int]:
    """Groups of consecutive rows."""
    rows = rows | {"tensor": max(length, 1), "token": 1}
    if granularity not in rows:
        names = ", ".join(["tensor", "block", "warp", "thread", "token"])
        raise ValueError(f'granularity "{granularity}" is not one for Q and K; expected {names}')
    return n // rows[granularity], _ceil(length, rows[granularity])


def _ceil(length: int, rows: int) -> int:
    return -(-length // rows)
