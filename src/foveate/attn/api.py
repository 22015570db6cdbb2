"""The public call: `attention` and `plan`.

The one thing to know: under torch.compile (and for fake tensors) a call becomes one operator,
`foveate::attention`; otherwise it goes to the plan directly, which saves the dispatcher.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import check, gradient, ops
from .backends import generation
from .layouts.blocks import BlockLayout
from .pipeline import Plan, plan_of, plan_with
from .precision import Precision
from .select import VSA, Selection


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    select: str | Selection | BlockLayout = "dense",
    precision: str | Precision = "auto",
    causal: bool = False,
    scale: float | None = None,
    mask: Tensor | None = None,
    return_lse: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Attend: out = softmax(scale · q kᵀ + mask) v over selected blocks, in a chosen precision.

    Strided views are welcome; only a last dimension whose stride is not 1 is copied. Inputs are
    never written to. Differentiable in q, k and v with precision "native" (which "auto" then is)
    and "sagebwd".

    Args:
        q: Queries, `[B, Hq, Lq, D]`, D from 8 to 256; float32, bfloat16, float16 or float64.
        k: Keys, `[B, Hk, Lk, D]`; Hk divides Hq, query head h reads kv head h // (Hq // Hk).
        v: Values, `[B, Hk, Lk, Dv]`, Dv up to 256.
        select: Which blocks of keys are visited: "dense", by position (`Window`, `MoA`), by looking
            at q and k ("sparge", "xattention", `TopK`, `VSA`, or an instance with other options),
            or a ready `BlockLayout`.
        precision: How the numbers are written: "native", "int8", "sage", "sage2", "sage2++",
            "sage3", "sagebwd" (for training), or an instance with other options. "auto" is the
            fastest precision of this device whose relative L1 error stays below 0.02 on N(0, 1)
            data: int8 where bytes multiply fast, native elsewhere.
        causal: Query i sees keys j ≤ i + Lk − Lq (aligned at the end, as in decoding).
        scale: Factor of the scores; None is D ** -0.5.
        mask: Bool (True = attend), or added to the scores; broadcasts to `[B, Hq, Lq, Lk]`.
        return_lse: Also return the log-sum-exp.
        backend: "auto", "cpu" or "reference". A named one never falls back.

    Returns:
        out `[B, Hq, Lq, Dv]` in q's dtype and memory order; with return_lse also lse, the natural
        logarithm of the sum of exponentials, float32 `[B, Hq, Lq]`. A row that sees nothing gives 0
        and −inf.

    Raises:
        TypeError, ValueError: An argument does not fit; the message names it and the way out.
        BackendError: No backend, or not the one that was named, can run this.

    Source: FlashAttention-2 (Dao, 2023) for the loop; the precisions name their own papers.
    """
    if isinstance(select, VSA) and gradient.wanted(q, k, v, mask):
        from .gates import with_own_gates

        return with_own_gates(q, k, v, select, precision, causal, scale, mask, return_lse, backend)
    if not _is_plain(q, k, v, mask) or gradient.wanted(q, k, v, mask):
        return ops.call(q, k, v, select, precision, causal, scale, mask, return_lse, backend)
    out, lse = attend(q, k, v, select, precision, causal, scale, mask, backend)
    return (out, lse) if return_lse else out


def attend(q, k, v, select, precision, causal, scale, mask, backend) -> tuple[Tensor, Tensor]:
    """`attention` past the operators: plan and run, out and lse. The operator's kernel is this."""
    layout = None
    if isinstance(select, BlockLayout):
        layout, select = select, select.outline
    decided = decide(q, k, v, select, precision, causal, scale, mask, backend, layout)
    return decided.attend(q, k, v, mask, layout)


def plan(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    select: str | Selection | BlockLayout = "dense",
    precision: str | Precision = "auto",
    causal: bool = False,
    scale: float | None = None,
    mask: Tensor | None = None,
    return_lse: bool = False,
    backend: str = "auto",
) -> Plan:
    """Decide a call without running it; takes the arguments of `attention`.

    Only sizes, dtypes and devices of the tensors are looked at. `return_lse` changes no decision.

    Returns:
        A `Plan`: `.explain()` says what was chosen and why, `.run(q, k, v)` attends.

    Raises:
        TypeError, ValueError, BackendError: As for `attention`.
    """
    layout = None
    if isinstance(select, BlockLayout):
        layout, select = select, select.outline
    check.check_tensors(q=q, k=k, v=v)
    if mask is not None:
        check.check_tensors(mask=mask)
    return plan_with(
        decide(q, k, v, select, precision, causal, scale, mask, backend, layout), layout
    )


def decide(
    q, k, v, select, precision, causal, scale, mask, backend, layout: BlockLayout | None
) -> Plan:
    """The plan of a call; `layout` is the one that `select` outlines, if any."""
    check.check_causal(causal)  # before the cache, which takes 1 for True
    if layout is not None and layout.device != q.device:
        raise ValueError(
            f"select is a BlockLayout on {layout.device}, q is on {q.device}; "
            "use layout.to(q.device)"
        )
    try:
        return plan_of(
            q.shape,
            k.shape,
            v.shape,
            (q.dtype, k.dtype, v.dtype),
            (q.device, k.device, v.device),
            None if mask is None else (mask.shape, mask.dtype, mask.device),
            select,
            precision,
            causal,
            scale,
            backend,
            generation(),
        )
    except TypeError as error:
        if "unhashable" in str(error):
            raise TypeError(
                f"select or precision cannot be hashed ({error}); expected a name or a frozen "
                "dataclass with hashable fields"
            ) from None
        raise


def _is_plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    """Whether these are ordinary tensors, and no compiler or mode wants to see an operator."""
    return (
        type(q) is type(k) is type(v) is Tensor
        and q.layout is k.layout is v.layout is torch.strided
        and not q.is_meta
        and (mask is None or type(mask) is Tensor)
        and not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
    )
