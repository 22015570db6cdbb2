"""Decoding from stores where each head holds another number of tokens, read where they lie.

The one thing to know: the tokens of a head may be in any order (attention does not care, their
positions are in the keys), so a ring buffer is attended to as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...formats import Float
from ...layouts.memory import new_lse, new_output
from . import native
from .backend import DIRECT_ROWS


def refuses(q: Tensor, k: Tensor) -> str | None:
    """None if `attend` can run, else the reason."""
    _, reason = native.load()
    if reason is not None:
        return reason
    if q.dtype not in native.DTYPES:
        return f"needs float32, bfloat16 or float16, not {str(q.dtype)[6:]}"
    if q.device.type != "cpu":
        return f"needs tensors on the cpu, these are on {q.device}"
    if k.dtype not in (q.dtype, torch.int8):
        return f"needs keys in q's {str(q.dtype)[6:]} or int8, not {str(k.dtype)[6:]}"
    if q.shape[3] > 256:
        return f"needs head sizes up to 256, not {q.shape[3]}"
    return None


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    start: Tensor,
    length: Tensor,
    scale: float,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One query per head against the tokens that its kv head holds.

    Args:
        q: Queries, `[B, Hq, 1, D]`.
        k: Keys of all heads, one head behind the other, `[B, N, D]`; q's dtype, or int8 codes.
        v: Values, `[B, N, Dv]`, likewise.
        start: First token of each head, int64 `[B, Hk]`.
        length: Tokens it holds, all of them visible, int64 `[B, Hk]`.
        scale: Factor of the scores.
        k_scale, v_scale: A factor for each token's codes, float32 `[B, N]`; None beside floats.

    Returns:
        out `[B, Hq, 1, Dv]`, lse float32 `[B, Hq, 1]`. A head without tokens gives 0 and −inf.
    """
    heads, group = start.shape[1], q.shape[1] // start.shape[1]
    if group > DIRECT_ROWS:  # more than the kernel takes: in parts of each group
        parts = q.unflatten(1, (heads, group)).split(DIRECT_ROWS, dim=2)
        done = [
            attend(x.flatten(1, 2), k, v, start, length, scale, k_scale, v_scale) for x in parts
        ]
        out, lse = (
            torch.cat([x.unflatten(1, (heads, -1)) for x in each], dim=2).flatten(1, 2)
            for each in zip(*done, strict=True)
        )
        return out, lse
    module, _ = native.load()
    out, lse = new_output(q, v.shape[2]), new_lse(q)
    longest = int(length.max())
    if longest == 0:
        return out.zero_(), lse.fill_(float("-inf"))
    rounding = "f32" if k.dtype == torch.int8 else native.float_kind(Float("input"), q.dtype)
    module.attend_segments(
        _store(k, heads, longest),
        _store(v, heads, longest),
        native.tensor(q),
        scale,
        start.data_ptr(),
        length.data_ptr(),
        0 if k_scale is None else k_scale.data_ptr(),
        0 if v_scale is None else v_scale.data_ptr(),
        0 if k_scale is None else k_scale.stride(0),
        native.tensor(out),
        lse.data_ptr(),
        native.P_KINDS.index(rounding),
        torch.get_num_threads(),
    )
    return out, lse


def _store(x: Tensor, heads: int, longest: int) -> tuple[int, ...]:
    """A store `[B, N, D]` as the extension takes it: `heads` heads of up to `longest` tokens."""
    dtype = native.CODES if x.dtype == torch.int8 else native.DTYPES[x.dtype]
    batch, token, _ = x.stride()
    return (x.data_ptr(), dtype, batch, 0, token, x.shape[0], heads, longest, x.shape[2])
