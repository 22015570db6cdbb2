"""Gradients of the C++ kernels, on every target, against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from foveate import attention
from foveate.attn.gradient import gradients
from tests.contract.cases import Shape
from tests.cpu.kit import CALLS, SMALL, Call, backward_arguments, check_gradients


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_gradients_match_the_reference(target, call):
    (q, k, v), dout, rest = backward_arguments(call, "native")
    dlse = torch.randn(q.shape[:3])
    wide = [x.double() for x in (q, k, v)]
    if rest["mask"] is not None and rest["mask"].is_floating_point():
        rest["mask"] = rest["mask"].float()
    out, lse = attention(*wide, return_lse=True, backend="reference", **rest)
    dlse = torch.where(lse.isfinite(), dlse, 0)
    want = gradients(dout.double(), dlse, *wide, out, lse, backend="reference", **rest)
    got = gradients(dout, dlse, q, k, v, out.to(q.dtype), lse, backend="cpu", **rest)
    limit = 2e-6 if q.dtype == torch.float32 else 2e-2
    if call.scale is not None and call.scale > 1:
        limit *= call.scale  # scores, and the rounding of their exponentials, grow with the scale
    check_gradients(got, want, (q, k, v), limit)


@pytest.mark.parametrize("precision", ["native", "sagebwd"])
def test_gradients_do_not_depend_on_threads(target, precision):
    (q, k, v), _ = Call("two heads", Shape(1, 4, 2, 2100, 2100, 16), True).arguments()
    dout = torch.randn_like(q)
    rest = (None, "dense", precision, True, None, "cpu")
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            out, lse = attention(q, k, v, precision=precision, return_lse=True, causal=True)
            found.append(gradients(dout, None, q, k, v, out, lse, *rest))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("precision", ["native", "sagebwd"])
def test_hidden_infinities_do_not_reach_gradients(target, precision):
    (q, k, v), _ = Call("masked", SMALL).arguments()
    mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
    mask[:, -1] = False
    out, lse = attention(
        q, k, v, mask=mask, precision=precision, return_lse=True, backend="reference"
    )
    v[:, :, -1] = torch.inf
    rest = (mask, "dense", precision, False, None, "cpu")
    grads = gradients(torch.ones_like(out), None, q, k, v, out, lse, *rest)
    assert all(x.isfinite().all() for x in grads)
