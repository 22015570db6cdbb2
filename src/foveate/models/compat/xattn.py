"""Names of the repository x-attention (`xattn.src`), with their signatures and defaults.

What differs, each because the original goes wrong: scores and maps have one entry for each block of
the inputs, not of inputs padded to a chunk, and padding takes no mass; a prompt in chunks, with any
lengths, gives the rows of the whole prompt, so `chunk_size` and `use_triton` change nothing here;
the first chunk has no block too many; `keep_sink` keeps a column, not a row; without `causal` no
block is kept unasked. Batches, grouped heads and any block size are served.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from foveate import BlockLayout, XAttention, attention, plan
from foveate.attn.layouts.budget import Budget, choose

from .arguments import heads_first, per_head, refuse

_TINY = 1e-9  # a threshold of 0 visits what is kept, or one block


def xattn_estimate(
    query_states: Tensor,
    key_states: Tensor,
    block_size: int,
    stride: int,
    norm: float = 1,
    softmax: bool = True,
    threshold: float | Tensor = 0.9,
    chunk_size: int = 16384,
    select_mode: str = "inverse",
    use_triton: bool = True,
    causal: bool = True,
    kdb: int = 1,
    keep_sink: bool = False,
    keep_recent: bool = False,
) -> tuple[Tensor, Tensor]:
    """Estimated mass of each pair of blocks, and the blocks to visit.

    Args:
        query_states: `[B, Hq, Lq, D]`.
        key_states: `[B, Hk, Lk, D]`.
        block_size: Queries and keys per block.
        stride: Tokens along a side of a cell; divides block_size.
        norm: The logits are divided by this.
        softmax: Only True.
        threshold: Share of the mass to visit, 0 to 1, or one for each head.
        chunk_size: Changes nothing.
        select_mode: "inverse" or "", the antidiagonal.
        use_triton: Changes nothing.
        causal: Query i sees keys j ≤ i + Lk − Lq.
        kdb: Only 1.
        keep_sink: Always visit the first block of keys.
        keep_recent: Always visit the diagonal.

    Returns:
        Masses, float32 `[B, Hq, ceil(Lq / block_size), ceil(Lk / block_size)]`, and a bool map of
        the same shape.

    Raises:
        TypeError, ValueError: An argument does not fit or is not supported.
    """
    refuse(
        "xattn_estimate",
        softmax=(softmax, True, "masses are shares"),
        kdb=(kdb, 1, "queries are never left out"),
    )
    if select_mode not in ("inverse", ""):
        raise ValueError(
            f'xattn_estimate: select_mode is {select_mode!r}; expected "inverse" (the antidiagonal)'
        )
    q, k = heads_first("HND", query_states=query_states, key_states=key_states)
    select = _select(threshold, stride, block_size, norm, keep_sink, keep_recent)
    made = plan(q, k, k, select="dense", causal=causal)
    if made.kernels is None:
        raise ValueError(f"query_states has shape {list(q.shape)}; expected tokens in it")
    q, k = (x if x.stride(3) == 1 else x.contiguous() for x in (q, k))
    select.fallback(made.request)  # refuses thresholds for another number of heads
    sums = select.scores(q, k, made.request, made.kernels)
    return sums, select.spend(sums, made.request, made.kernels).to_dense()


def Xattention_prefill(
    query_states: Tensor,
    key_states: Tensor,
    value_states: Tensor,
    stride: int,
    norm: float = 1,
    threshold: float | Tensor = 0.8,
    block_size: int = 128,
    use_triton: bool = True,
    causal: bool = True,
    kdb: int = 1,
    chunk_size: int | None = None,
    keep_sink: bool = False,
    keep_recent: bool = False,
) -> Tensor:
    """Attend, in the inputs' own precision, to the blocks that `xattn_estimate` finds.

    Args:
        query_states: `[B, Hq, Lq, D]`.
        key_states: `[B, Hk, Lk, D]`.
        value_states: `[B, Hk, Lk, Dv]`.
        stride, norm, threshold, block_size, use_triton, causal, kdb, chunk_size, keep_sink,
            keep_recent: As for `xattn_estimate`.

    Returns:
        `[B, Hq, Lq, Dv]` in the dtype of query_states. Fewer than block_size queries, or up to two
        blocks of keys, are attended densely.

    Raises:
        TypeError, ValueError: An argument does not fit or is not supported.
    """
    refuse("Xattention_prefill", kdb=(kdb, 1, "queries are never left out"))
    select = _select(threshold, stride, block_size, norm, keep_sink, keep_recent)
    return attention(
        query_states, key_states, value_states, select=select, precision="native", causal=causal
    )


def find_blocks_chunked(
    input_tensor: Tensor,
    current_index: int,
    threshold: float | Tensor | None,
    num_to_choose: int | None,
    decoding: bool,
    mode: str = "both",
    causal: bool = True,
) -> Tensor:
    """The blocks to visit for the masses of a chunk of block rows.

    Args:
        input_tensor: Masses, `[B, H, rows, columns]`.
        current_index: Column of the first row's diagonal.
        threshold: Share of each row's mass to visit, 0 to 1, or one for each head.
        num_to_choose: Visit so many blocks instead; one of the two is None.
        decoding: Only False.
        mode: Only "both".
        causal: Columns beyond the diagonal are not visible; the first and the diagonal are visited
            first, and their mass counts.

    Returns:
        bool `[B, H, rows, columns]`.

    Raises:
        TypeError, ValueError: An argument does not fit or is not supported.
    """
    refuse(
        "find_blocks_chunked",
        decoding=(decoding, False, "a step of decoding is attended densely"),
        mode=(mode, "both", "blocks are chosen wherever the function is called"),
    )
    if not isinstance(input_tensor, Tensor) or input_tensor.dim() != 4:
        came = list(input_tensor.shape) if isinstance(input_tensor, Tensor) else input_tensor
        raise ValueError(f"input_tensor is {came}; expected masses [B, H, rows, columns]")
    if (threshold is None) == (num_to_choose is None):
        raise ValueError(
            f"threshold is {threshold!r} and num_to_choose is {num_to_choose!r}; expected exactly "
            "one of them"
        )
    rows, columns = input_tensor.shape[2:]
    diagonal = torch.arange(rows, device=input_tensor.device).unsqueeze(1) + current_index
    column = torch.arange(columns, device=input_tensor.device)
    allowed = (column <= diagonal) if causal else torch.ones_like(column <= diagonal)
    kept = ((column == 0) | (column == diagonal)) & allowed & causal
    mass = None if threshold is None else per_head("threshold", threshold, 0, 1)
    budget = Budget(mass, num_to_choose, kept_first=True)
    counts, indices = choose(input_tensor, budget, allowed, kept)
    return BlockLayout(counts, indices, (1, 1), (rows, columns)).to_dense()


def _select(
    threshold: Any, stride: int, block: int, norm: Any, sink: bool, recent: bool
) -> XAttention:
    if isinstance(norm, bool) or not isinstance(norm, int | float) or not norm > 0:
        raise ValueError(f"norm is {norm!r}; expected a number above 0")
    return XAttention(
        per_head("threshold", threshold, 0, 1, _TINY),
        stride=stride,
        block=block,
        temperature="code" if norm == 1 else 1 / norm,
        sink=sink,
        recent=recent,
    )
