"""The way back through attention in C++: in float32 whatever the inputs' dtype, or in 8 bits.

The one thing to know: in 8 bits K and Q are encoded anew, with the forward's formats. Their codes
are the forward's, so nothing has to be kept between the two passes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...layouts.blocks import BlockLayout
from ..base import Request
from . import native
from .backend import blocks_of, limits, mask_of


def backward(
    dout: Tensor,
    dlse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    request: Request,
    layout: BlockLayout | None,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `Backend.backward`."""
    module, _ = native.load()
    back = request.recipe.back
    dq, dk, dv = (torch.empty(x.shape, dtype=torch.float32) for x in (q, k, v))
    before, sink, after = limits(
        (request.band, layout.band if layout is not None else None), q.shape[1]
    )
    mask, hidden = mask_of(mask)
    _alive, blocks = blocks_of(layout)
    dout, out = (x if x.stride(3) == 1 else x.contiguous() for x in (dout, out))
    lse = lse.contiguous()
    if dlse is not None:
        dlse = dlse.float().contiguous()
    module.backward(
        *map(native.tensor, (q, k, v, out, dout)),
        lse.data_ptr(),
        0 if dlse is None else dlse.data_ptr(),
        request.scale,
        before.data_ptr(),
        sink.data_ptr(),
        after,
        hidden,
        blocks,
        None if back is None else native.formats(request.recipe, request.dtype),
        back is not None and back.delta == "products",
        dq.data_ptr(),
        dk.data_ptr(),
        dv.data_ptr(),
        torch.get_num_threads(),
    )
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)
