"""Attention with two stages and gates between them: `gated_attention`.

The one thing to know: it is made of parts that each have a gradient, so it needs none of its own;
the fine stage is `attention` over a ready BlockLayout, in any precision that can train.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import check, gradient
from .precision import Precision
from .select import VSA
from .select.stages import stages

Gate = Tensor | float | tuple[float, ...]


def gated_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    select: VSA,
    coarse: Gate,
    fine: Gate = 1.0,
    precision: str | Precision = "auto",
    scale: float | None = None,
    return_lse: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Video sparse attention: out = coarse ∘ O_c + fine ∘ O_f, see `VSA`.

    Differentiable in q, k, v and gates; a gate of zeros still gets a gradient. Tokens, gates and
    results are in row-major order of the grid; `select.coarse` plays no part.

    Args:
        q: Queries, `[B, Hq, Lq, D]`.
        k: Keys, `[B, Hk, Lk, D]`.
        v: Values, `[B, Hk, Lk, Dv]`.
        select: Grid, cubes and how many are kept.
        coarse: Gate of the coarse stage: a tensor that broadcasts to `[B, Hq, Lq, Dv]`, a number,
            or one for each query head. Has no default, on purpose: 0 leaves the stage out.
        fine: Gate of the fine stage.
        precision: Of the fine stage, as in `attention`; the coarse stage is exact, in float32.
        scale: Factor of the scores of both stages; None is D ** -0.5.
        return_lse: Also return the log-sum-exp of the fine stage.
        backend: As in `attention`.

    Returns:
        out `[B, Hq, Lq, Dv]` in q's dtype; with return_lse also lse, float32 `[B, Hq, Lq]`.

    Raises:
        TypeError, ValueError: An argument does not fit; the message names it and the way out.
        BackendError: No backend, or not the one that was named, can run this.

    Source: Video Sparse Attention (arXiv 2505.13389), sections 2.2 and 2.3.
    """
    check.check_tensors(q=q, k=k, v=v)
    check.check_shapes(q.shape, k.shape, v.shape)
    check.check_dtypes(q.dtype, k.dtype, v.dtype)
    check.check_devices(q.device, k.device, v.device)
    if not isinstance(select, VSA):
        raise TypeError(
            f"select is {type(select).__name__}; expected a VSA, e.g. VSA((8, 16, 16)) (attention "
            "takes all other selections)"
        )
    select.check_call(q.shape[2], k.shape[2], q.shape[1])
    gates = [_gate(name, x, q, v) for name, x in (("coarse", coarse), ("fine", fine))]
    out, lse = _joined(q, k, v, select, *gates, precision, scale, backend)
    return (out, lse) if return_lse else out


def with_own_gates(q, k, v, select: VSA, precision, causal, scale, mask, return_lse, backend):
    """`attention` with a `VSA` where a gradient is wanted: the gates are `select.coarse` and 1."""
    check.check_causal(causal)
    select.check_call(q.shape[2], k.shape[2], q.shape[1], causal, mask is not None)
    return gated_attention(
        q,
        k,
        v,
        select=select,
        coarse=select.coarse,
        precision=precision,
        scale=scale,
        return_lse=return_lse,
        backend=backend,
    )


def _joined(q, k, v, select: VSA, coarse, fine, precision, scale, backend) -> tuple[Tensor, Tensor]:
    """Both stages of checked inputs; `coarse` and `fine` broadcast to out."""
    from .api import attention

    if 0 in q.shape:
        return attention(q, k, v, scale=scale, return_lse=True, backend=backend)
    factor = q.shape[3] ** -0.5 if scale is None else check.check_scale(scale, q.shape[3])
    if precision == "auto" and gradient.wanted(q, k, v):
        precision = "native"  # correct needs pieces of one precision

    def attend(q, k, v, layout, mask):
        return attention(
            q,
            k,
            v,
            select="dense" if dense and mask is None else layout,
            precision=precision,
            scale=factor,
            mask=mask,
            return_lse=True,
            backend=backend,
        )

    dense = select.visits_all and select.skip is None
    return stages(select, q, k, v, factor, attend, coarse, fine)


def _gate(name: str, gate: Gate, q: Tensor, v: Tensor) -> Tensor | float:
    """A gate as something that broadcasts to out, or an error that names it."""
    if isinstance(gate, Tensor):
        shape = (*q.shape[:3], v.shape[3])
        if not gate.is_floating_point():
            raise TypeError(f"{name} has dtype {check.short(gate.dtype)}; expected a float dtype")
        if gate.device != q.device:
            raise ValueError(
                f"{name} is on {gate.device}, q on {q.device}; expected one device, use "
                f"{name}.to(q.device)"
            )
        fits = gate.dim() <= 4 and all(
            a in (1, b) for a, b in zip(reversed(gate.shape), reversed(shape), strict=False)
        )
        if not fits:
            raise ValueError(
                f"{name} has shape {list(gate.shape)}; expected one that broadcasts to "
                f"[B, Hq, Lq, Dv], here {list(shape)}"
            )
        return gate
    many = isinstance(gate, tuple | list)
    for one in gate if many else (gate,):
        if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
            raise TypeError(
                f"{name} is {gate!r}; expected a tensor, a finite number, or one for each query "
                "head (0 leaves the stage out)"
            )
    if not many:
        return float(gate)
    if len(gate) != q.shape[1]:
        raise ValueError(
            f"{name} has {len(gate)} values; expected one, or one for each head of q, {q.shape[1]}"
        )
    return torch.tensor(gate, dtype=q.dtype, device=q.device).view(-1, 1, 1)
