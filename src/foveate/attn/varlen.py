"""`attention_varlen`: sequences of different lengths, packed one after another.

The one thing to know: sequences are attended one by one (neighbours of equal lengths together), on
views of the packed tensors, so smoothing means, scales and tiles never mix two sequences.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from . import check, ops
from .layouts.blocks import BlockLayout
from .precision import Precision
from .select import Selection


def attention_varlen(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    select: str | Selection = "dense",
    precision: str | Precision = "auto",
    causal: bool = False,
    scale: float | None = None,
    return_lse: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Attend within each of several packed sequences (FlashAttention's varlen convention).

    Sequence n has the queries `cu_seqlens_q[n] : cu_seqlens_q[n + 1]` and the keys
    `cu_seqlens_k[n] : cu_seqlens_k[n + 1]`. Reading the two tables waits for the device.

    Args:
        q: Queries of all sequences, `[ΣLq, Hq, D]`.
        k: Keys, `[ΣLk, Hk, D]`.
        v: Values, `[ΣLk, Hk, Dv]`.
        cu_seqlens_q: Starts of the sequences and the total, int32 or int64 `[N + 1]`, from 0 up to
            ΣLq.
        cu_seqlens_k: The same for keys, up to ΣLk.
        select, precision, causal, scale, backend: As for `attention`, for each sequence on its own;
            a BlockLayout belongs to one length and is refused.
        return_lse: Also return the log-sum-exp.

    Returns:
        out `[ΣLq, Hq, Dv]`, contiguous; with return_lse also lse, float32 `[Hq, ΣLq]`.

    Raises:
        TypeError, ValueError, BackendError: As for `attention`.
    """
    check.check_tensors(q=q, k=k, v=v, cu_seqlens_q=cu_seqlens_q, cu_seqlens_k=cu_seqlens_k)
    check.check_no_grad(q=q, k=k, v=v)
    check.check_causal(causal)
    if isinstance(select, BlockLayout):
        raise TypeError(
            "select is a BlockLayout, which has one pair of lengths; expected a selection "
            "that fits any "
            "length, such as Window(span), or call attention for each sequence"
        )
    if (
        torch.compiler.is_compiling()
        or type(q) is not Tensor
        or torch._C._len_torch_dispatch_stack() > 0
    ):
        return ops.call_varlen(
            q,
            k,
            v,
            cu_seqlens_q,
            cu_seqlens_k,
            select,
            precision,
            causal,
            scale,
            return_lse,
            backend,
        )
    out, lse = attend_packed(
        q, k, v, cu_seqlens_q, cu_seqlens_k, select, precision, causal, scale, backend
    )
    return (out, lse) if return_lse else out


def attend_packed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    select,
    precision,
    causal: bool,
    scale: float | None,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """`attention_varlen` without the choice of the road: out `[ΣLq, Hq, Dv]`, lse `[Hq, ΣLq]`."""
    from .api import attention

    check.check_packed_shapes(q.shape, k.shape, v.shape)
    check.check_dtypes(q.dtype, k.dtype, v.dtype)
    check.check_devices(q.device, k.device, v.device)
    starts_q = _starts("cu_seqlens_q", cu_seqlens_q, q.shape[0])
    starts_k = _starts("cu_seqlens_k", cu_seqlens_k, k.shape[0])
    if len(starts_q) != len(starts_k):
        raise ValueError(
            f"cu_seqlens_q names {len(starts_q) - 1} sequences, cu_seqlens_k {len(starts_k) - 1}; "
            "expected the same number"
        )
    total, heads, _ = q.shape
    out = q.new_empty((total, heads, v.shape[2]))
    lse = q.new_empty((heads, total), dtype=torch.float32)
    for count, first_q, lq, first_k, lk in _runs(starts_q, starts_k):
        parts = (
            _batch(q, first_q, count, lq),
            _batch(k, first_k, count, lk),
            _batch(v, first_k, count, lk),
        )
        some, some_lse = attention(
            *parts,
            select=select,
            precision=precision,
            causal=causal,
            scale=scale,
            return_lse=True,
            backend=backend,
        )
        end = first_q + count * lq
        out[first_q:end].unflatten(0, (count, lq)).copy_(some.transpose(1, 2))
        lse[:, first_q:end].unflatten(1, (count, lq)).copy_(some_lse.transpose(0, 1))
    return out, lse


def _batch(x: Tensor, first: int, count: int, length: int) -> Tensor:
    """`count` neighbouring sequences of one length as a view, `[count, H, length, D]`."""
    return x[first : first + count * length].unflatten(0, (count, length)).transpose(1, 2)


def _runs(starts_q: list[int], starts_k: list[int]):
    """Neighbours of equal lengths with queries: count, first query, Lq, first key, Lk."""
    n = 0
    while n < len(starts_q) - 1:
        lq, lk = starts_q[n + 1] - starts_q[n], starts_k[n + 1] - starts_k[n]
        end = n + 1
        while end < len(starts_q) - 1 and (
            starts_q[end + 1] - starts_q[end] == lq and starts_k[end + 1] - starts_k[end] == lk
        ):
            end += 1
        if lq:
            yield end - n, starts_q[n], lq, starts_k[n], lk
        n = end


def _starts(name: str, table: Tensor, total: int) -> list[int]:
    """The table as a list, checked."""
    if table.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name} has dtype {check.short(table.dtype)}; expected int32 or int64")
    if table.dim() != 1 or len(table) < 1:
        raise ValueError(
            f"{name} has shape {list(table.shape)}; expected [N + 1], starts and the total"
        )
    starts = table.tolist()
    if starts[0] != 0 or starts[-1] != total or any(a > b for a, b in pairwise(starts)):
        raise ValueError(
            f"{name} goes from {starts[0]} to {starts[-1]}; expected to rise from 0 to {total}, "
            "the number of packed rows"
        )
    return starts
