"""The way back through `attention`: which calls have one, and the gradients themselves.

The one thing to know: blocks are chosen anew on the way back. The choice depends on q and k alone
and is deterministic, so it is the same; it has no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .choices import precision_of, selection_of
from .layouts.blocks import BlockLayout
from .pipeline import unit_rows, with_four
from .precision import Native, Precision
from .select import Selection


def wanted(*tensors: Tensor | None) -> bool:
    """Whether a result must carry a graph."""
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)


def trainable(
    select: str | Selection | BlockLayout, precision: str | Precision, mask: Tensor | None
) -> str | Precision:
    """The precision of a call that has a way back; "auto" is native.

    Raises:
        ValueError: The precision, the selection or the mask has none.
    """
    if mask is not None and mask.requires_grad:
        raise ValueError(
            "mask requires grad, and attention gives no gradient to masks; pass mask.detach()"
        )
    chosen = select if isinstance(select, BlockLayout) else selection_of(select)
    extra = "skip" if chosen.skip is not None else "correct" if _corrects(chosen) else None
    if extra is not None:
        raise ValueError(
            f"select has {extra} set, which has no backward pass; leave it out to train, or call "
            "under torch.no_grad()"
        )
    if precision == "auto":
        return Native()
    numbers = precision_of(precision)
    if not numbers.trainable:
        raise ValueError(
            f'precision "{numbers.name}" has no backward pass and an input requires grad; '
            'expected precision="native" or "sagebwd" to train, or a call under torch.no_grad()'
        )
    return numbers


def gradients(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    mask: Tensor | None,
    select: str | Selection | BlockLayout,
    precision: str | Precision,
    causal: bool,
    scale: float | None,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, in their dtypes.

    Args:
        dout: Gradient of out, `[B, Hq, Lq, Dv]`.
        dlse: Gradient of lse, `[B, Hq, Lq]`, or None.
        q, k, v: The inputs of the call.
        out, lse: Its results.
        mask, select, precision, causal, scale, backend: Its options.
    """
    from .api import decide

    layout = select if isinstance(select, BlockLayout) else None
    outline = select if layout is None else layout.outline
    plan = decide(q, k, v, outline, precision, causal, scale, mask, backend, layout)
    if plan.kernels is None:
        return tuple(torch.zeros_like(x) for x in (q, k, v))
    mask = with_four(mask)
    if layout is None:
        q, k, v = plan.select.arrange(*unit_rows(q, k, v))
        dout, out, lse = plan.select.arrange(dout, out, lse)
        if dlse is not None:
            dlse = plan.select.arrange(dlse, dlse, dlse)[0]
        layout = plan.select.layout(q, k, plan.request, plan.kernels)
    q, k, v, dout, out = unit_rows(q, k, v, dout, out)
    grads = plan.kernels.backward(dout, dlse, q, k, v, out, lse, plan.request, layout, mask)
    if isinstance(select, BlockLayout):
        return grads
    return tuple(plan.select.restore(x, lse)[0] for x in grads)


def _corrects(chosen: Selection | BlockLayout) -> bool:
    return isinstance(chosen, Selection) and chosen.correct
