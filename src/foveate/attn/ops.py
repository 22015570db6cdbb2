"""torch.library operators: the border that torch.compile sees.

    foveate::attention(q, k, v, mask?, counts?, indices?, choice, causal, scale?) -> (out, lse)
    foveate::attention_varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, choice, causal, scale?)
        -> (out, lse)
    foveate::attention_backward(dout, dlse?, q, k, v, out, lse, …as above) -> (dq, dk, dv)

`choice` spells select, precision and backend as text, because a schema knows no dataclasses;
`spelling.py` writes and reads it. Fakes and kernels agree on shapes, dtypes and strides.
"""

from __future__ import annotations

import torch

from . import check, gradient
from .layouts.blocks import BlockLayout
from .layouts.memory import new_lse, new_output
from .spelling import Blocks, read_choice, spell_choice

_LIB = torch.library.Library("foveate", "DEF")
# kernels take the strides they are given: the compiler must not change them between trace and run
# (the exact tag came with torch 2.7; before, the order of strides was kept)
_TAGS = (getattr(torch.Tag, "needs_exact_strides", torch.Tag.needs_fixed_stride_order),)
_LIB.define(
    "attention(Tensor q, Tensor k, Tensor v, Tensor? mask, Tensor? counts, Tensor? indices, "
    "str choice, bool causal, float? scale) -> (Tensor, Tensor)",
    tags=_TAGS,
)
_LIB.define(
    "attention_backward(Tensor dout, Tensor? dlse, Tensor q, Tensor k, Tensor v, Tensor out, "
    "Tensor lse, Tensor? mask, Tensor? counts, Tensor? indices, str choice, bool causal, "
    "float? scale) -> (Tensor, Tensor, Tensor)",
    tags=_TAGS,
)
_LIB.define(
    "attention_varlen(Tensor q, Tensor k, Tensor v, Tensor cu_seqlens_q, Tensor cu_seqlens_k, "
    "str choice, bool causal, float? scale) -> (Tensor, Tensor)",
    tags=_TAGS,
)


def call(q, k, v, select, precision, causal, scale, mask, return_lse, backend):
    """`attention` through the operator."""
    check.check_tensors(q=q, k=k, v=v)
    if mask is not None:
        check.check_tensors(mask=mask)
    if gradient.wanted(q, k, v, mask):
        precision = gradient.trainable(select, precision, mask)
    check.check_causal(causal)
    counts, indices = (
        (select.counts, select.indices) if isinstance(select, BlockLayout) else (None, None)
    )
    choice = spell_choice(select, precision, backend)
    if scale is not None:
        scale = check.check_scale(scale, q.shape[-1])
    out, lse = torch.ops.foveate.attention(q, k, v, mask, counts, indices, choice, causal, scale)
    return (out, lse) if return_lse else out


def call_varlen(
    q, k, v, cu_seqlens_q, cu_seqlens_k, select, precision, causal, scale, return_lse, backend
):
    """`attention_varlen` through the operator."""
    choice = spell_choice(select, precision, backend)
    if scale is not None:
        scale = check.check_scale(scale, q.shape[-1])
    out, lse = torch.ops.foveate.attention_varlen(
        q, k, v, cu_seqlens_q, cu_seqlens_k, choice, causal, scale
    )
    return (out, lse) if return_lse else out


@torch.library.impl(_LIB, "attention", "CompositeExplicitAutograd")
def _attention(q, k, v, mask, counts, indices, choice, causal, scale):
    from .api import attend

    select, precision, backend = _choice(choice, counts, indices)
    with torch.no_grad():
        return attend(q, k, v, select, precision, causal, scale, mask, backend)


def _choice(choice, counts, indices):
    """select, precision and backend of a call; tables become a layout again."""
    select, precision, backend = read_choice(choice)
    if isinstance(select, Blocks):
        select = BlockLayout(
            counts, indices, select.block, select.lengths, select.band, select.skip
        )
    return select, precision, backend


@torch.library.register_fake("foveate::attention", lib=_LIB)
def _attention_fake(q, k, v, mask, counts, indices, choice, causal, scale):
    check.check_shapes(q.shape, k.shape, v.shape)
    check.check_dtypes(q.dtype, k.dtype, v.dtype)
    check.check_devices(q.device, k.device, v.device)
    if mask is not None:
        check.check_mask(mask.shape, mask.dtype, mask.device, q.shape, k.shape, q.dtype, q.device)
    return new_output(q, v.shape[3]), new_lse(q)


@torch.library.impl(_LIB, "attention_backward", "CompositeExplicitAutograd")
def _backward(dout, dlse, q, k, v, out, lse, mask, counts, indices, choice, causal, scale):
    select, precision, backend = _choice(choice, counts, indices)
    with torch.no_grad():
        return gradient.gradients(
            dout, dlse, q, k, v, out, lse, mask, select, precision, causal, scale, backend
        )


@torch.library.register_fake("foveate::attention_backward", lib=_LIB)
def _backward_fake(dout, dlse, q, k, v, out, lse, mask, counts, indices, choice, causal, scale):
    return tuple(x.new_empty(x.shape) for x in (q, k, v))


def _keep(ctx, inputs, output) -> None:
    q, k, v, mask, counts, indices, *ctx.options = inputs
    ctx.save_for_backward(q, k, v, *output, mask, counts, indices)


def _differentiate(ctx, dout, dlse):
    grads = torch.ops.foveate.attention_backward(dout, dlse, *ctx.saved_tensors, *ctx.options)
    return (*grads, *(None,) * 6)


torch.library.register_autograd("foveate::attention", _differentiate, setup_context=_keep, lib=_LIB)


@torch.library.impl(_LIB, "attention_varlen", "CompositeExplicitAutograd")
def _attention_varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, choice, causal, scale):
    from .varlen import attend_packed

    select, precision, backend = read_choice(choice)
    with torch.no_grad():
        return attend_packed(
            q, k, v, cu_seqlens_q, cu_seqlens_k, select, precision, causal, scale, backend
        )


@torch.library.register_fake("foveate::attention_varlen", lib=_LIB)
def _attention_varlen_fake(q, k, v, cu_seqlens_q, cu_seqlens_k, choice, causal, scale):
    check.check_packed_shapes(q.shape, k.shape, v.shape)
    check.check_dtypes(q.dtype, k.dtype, v.dtype)
    total, heads, _ = q.shape
    return q.new_empty((total, heads, v.shape[2])), q.new_empty((heads, total), dtype=torch.float32)
