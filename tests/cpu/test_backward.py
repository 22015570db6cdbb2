"""Gradients of the C++ kernels, on every target, against the reference in float64."""

from __future__ import annotations

import pytest
import torch

from foveate import attention
from foveate.attn.gradient import gradients
from tests.contract.cases import Shape, relative_l1
from tests.cpu.kit import CALLS, SMALL, Call


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_gradients_match_the_reference(target, call):
    (q, k, v), options = call.arguments()
    torch.manual_seed(7)
    dout = torch.randn(*q.shape[:3], v.shape[3]).to(q.dtype)
    dlse = torch.randn(q.shape[:3])
    rest = {
        "mask": options.get("mask"),
        "select": options.get("select", "dense"),
        "causal": options["causal"],
        "scale": options["scale"],
        "precision": "native",
    }
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
    for x, exact, like in zip(got, want, (q, k, v), strict=True):
        assert x.shape == like.shape
        assert x.dtype == like.dtype
        assert relative_l1(x, exact) < limit


def test_gradients_do_not_depend_on_threads(target):
    (q, k, v), _ = Call("two heads", Shape(1, 4, 2, 2100, 2100, 16), True).arguments()
    dout = torch.randn_like(q)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            out, lse = attention(q, k, v, precision="native", return_lse=True, causal=True)
            found.append(
                gradients(dout, None, q, k, v, out, lse, None, "dense", "native", True, None, "cpu")
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_hidden_infinities_do_not_reach_gradients(target):
    (q, k, v), _ = Call("masked", SMALL).arguments()
    v[:, :, -1] = torch.inf
    mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool)
    mask[:, -1] = False
    rest = (mask, "dense", "native", False, None, "cpu")
    out, lse = attention(
        q, k, v, mask=mask, precision="native", return_lse=True, backend="reference"
    )
    assert all(
        x.isfinite().all() for x in gradients(torch.ones_like(out), None, q, k, v, out, lse, *rest)
    )
