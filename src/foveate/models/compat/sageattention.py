"""Names of the package `sageattention`, with their signatures and defaults.

`sageattn` computes what the original computes on its main device, compute capability 8.9:
SageAttention2++ with scales per thread. The others name their numbers themselves.

What differs: inputs are never written to; `scale`, `attn_mask`, `dropout_p` and `enable_gqa`, which
callers pass and the original swallows, are honoured or refused; an unknown keyword is a TypeError;
`is_causal` aligns queries at the end of the keys; the lse is corrected in float32; the mean key of
packed sequences is that of each sequence.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveate import Sage, Sage2, Sage2pp, attention, attention_varlen
from foveate.attn.precision import Precision

from .arguments import as_came, heads_first, refuse

_FP8 = {"fp32": "fp22", "fp32+fp32": "fp22+fp32"}  # what FP8 tensor cores call fp32 has 22 bits


def sageattn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tensor_layout: str = "HND",
    is_causal: bool = False,
    sm_scale: float | None = None,
    return_lse: bool = False,
    *,
    smooth_k: bool = True,
    **torch_words: Any,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attend in 8 bits: INT8 Q·Kᵀ and FP8 P·V, SageAttention2++.

    Args:
        q: Queries, `[B, Hq, Lq, D]` or `[B, Lq, Hq, D]`.
        k: Keys.
        v: Values.
        tensor_layout: "HND" or "NHD".
        is_causal: Query i sees keys j ≤ i + Lk − Lq.
        sm_scale: Factor of the scores; None is D ** -0.5.
        return_lse: Also return the log-sum-exp, float32 `[B, Hq, Lq]` in either layout.
        smooth_k: Subtract the mean key first.
        torch_words: `scale` for sm_scale, `attn_mask` (bool or added), `dropout_p` (only 0),
            `enable_gqa`, as torch's scaled_dot_product_attention has them.

    Returns:
        out, as q came and in its dtype; with return_lse also lse.

    Raises:
        TypeError, ValueError: An argument does not fit, is unknown or not supported.
    """
    numbers = Sage2pp(smooth_k=smooth_k)
    return _attend(
        "sageattn", numbers, q, k, v, tensor_layout, is_causal, sm_scale, return_lse, torch_words
    )


def sageattn_qk_int8_pv_fp16_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tensor_layout: str = "HND",
    quantization_backend: str = "triton",
    is_causal: bool = False,
    attn_mask: Tensor | None = None,
    sm_scale: float | None = None,
    smooth_k: bool = True,
    return_lse: bool = False,
    **torch_words: Any,
) -> Tensor | tuple[Tensor, Tensor]:
    """INT8 Q·Kᵀ with scales per block, FP16 P·V. `quantization_backend` changes nothing.

    Other arguments as for `sageattn`.
    """
    return _attend(
        "sageattn_qk_int8_pv_fp16_triton",
        Sage("B", smooth_k=smooth_k),
        q,
        k,
        v,
        tensor_layout,
        is_causal,
        sm_scale,
        return_lse,
        {"attn_mask": attn_mask, **torch_words},
    )


def sageattn_qk_int8_pv_fp8_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tensor_layout: str = "HND",
    is_causal: bool = False,
    qk_quant_gran: str = "per_thread",
    sm_scale: float | None = None,
    pv_accum_dtype: str = "fp32+fp16",
    smooth_k: bool = True,
    smooth_v: bool = False,
    return_lse: bool = False,
    **torch_words: Any,
) -> Tensor | tuple[Tensor, Tensor]:
    """INT8 Q·Kᵀ, FP8 P·V.

    Args:
        qk_quant_gran: "per_thread" or "per_warp".
        pv_accum_dtype: "fp32+fp16" (SageAttention2++), "fp32+fp32" or "fp32".
        smooth_v: Subtract the mean value first.
        q, k, v, tensor_layout, is_causal, sm_scale, smooth_k, return_lse, torch_words: As for
            `sageattn`.
    """
    function = "sageattn_qk_int8_pv_fp8_cuda"
    how: dict[str, Any] = {
        "granularity": _granularity(function, qk_quant_gran),
        "smooth_k": smooth_k,
        "smooth_v": smooth_v,
    }
    if pv_accum_dtype == "fp32+fp16":
        numbers: Precision = Sage2pp(**how)
    elif pv_accum_dtype in _FP8:
        numbers = Sage2(accumulate=_FP8[pv_accum_dtype], **how)
    else:
        raise ValueError(
            f"{function}: pv_accum_dtype is {pv_accum_dtype!r}; expected "
            '"fp32+fp16", "fp32+fp32" or "fp32"'
        )
    return _attend(
        function, numbers, q, k, v, tensor_layout, is_causal, sm_scale, return_lse, torch_words
    )


def sageattn_varlen(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    is_causal: bool = False,
    sm_scale: float | None = None,
    smooth_k: bool = True,
) -> Tensor:
    """Attend within each of several packed sequences: INT8 Q·Kᵀ per block, FP16 P·V.

    Args:
        q: `[ΣLq, Hq, D]`.
        k: `[ΣLk, Hk, D]`.
        v: `[ΣLk, Hk, Dv]`.
        cu_seqlens_q: Starts of the sequences and the total, `[N + 1]`.
        cu_seqlens_k: The same for keys.
        max_seqlen_q: At least the longest sequence of queries; follows from cu_seqlens_q.
        max_seqlen_k: The same for keys.
        is_causal, sm_scale, smooth_k: As for `sageattn`.

    Returns:
        `[ΣLq, Hq, Dv]`.
    """
    numbers = Sage("B", smooth_k=smooth_k)
    for name, most, table in (
        ("max_seqlen_q", max_seqlen_q, cu_seqlens_q),
        ("max_seqlen_k", max_seqlen_k, cu_seqlens_k),
    ):
        longest = int(table.diff().max()) if table.numel() > 1 else 0
        if most < longest:
            raise ValueError(f"{name} is {most}; expected at least {longest}, the longest sequence")
    return attention_varlen(
        q, k, v, cu_seqlens_q, cu_seqlens_k, precision=numbers, causal=is_causal, scale=sm_scale
    )


def _attend(
    function: str,
    numbers: Precision,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: str,
    causal: bool,
    scale: float | None,
    return_lse: bool,
    torch_words: dict[str, Any],
) -> Tensor | tuple[Tensor, Tensor]:
    words = dict(torch_words)
    mask, other = words.pop("attn_mask", None), words.pop("scale", None)
    refuse(function, dropout_p=(words.pop("dropout_p", 0.0), 0.0, "inference only"))
    words.pop("enable_gqa", None)  # grouped heads are always served
    if words:
        raise TypeError(f"{function}() got an unexpected keyword argument {next(iter(words))!r}")
    if scale is not None and other is not None and scale != other:
        raise ValueError(f"{function}: sm_scale is {scale} and scale is {other}; expected one")
    q, k, v = heads_first(layout, q=q, k=k, v=v)
    out, lse = attention(
        q,
        k,
        v,
        precision=numbers,
        causal=causal,
        scale=other if scale is None else scale,
        mask=mask,
        return_lse=True,
    )
    out = as_came(out, layout)
    return (out, lse) if return_lse else out


def _granularity(function: str, name: object) -> str:
    if name not in ("per_thread", "per_warp"):
        raise ValueError(
            f'{function}: qk_quant_gran is {name!r}; expected "per_thread" or "per_warp"'
        )
    return str(name).removeprefix("per_")
