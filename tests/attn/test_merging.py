"""`into`: attention over two sets of keys, one after the other, is attention over both."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from foveate import plan
from foveate.attn.backends import backend_named
from foveate.attn.backends.reference.merging import merge

from .kit import inputs

REFERENCE = backend_named("reference")


def over(q, k, v, into=None):
    request = plan(q, k, v, precision="native", backend="reference").request
    return REFERENCE.attend(REFERENCE.encode(q, k, v, request), request, into=into)


@pytest.mark.parametrize("cut", [1, 60, 149])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_two_parts_are_the_whole(cut, dtype):
    q, k, v = (x.to(dtype) for x in inputs(batch=2, q_heads=4, kv_heads=2))
    whole, lse = over(q, k, v)
    first = over(q, k[:, :, :cut], v[:, :, :cut])
    out, both = over(q, k[:, :, cut:], v[:, :, cut:], into=first)
    assert out is first[0]
    assert both is first[1]
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-6, torch.bfloat16: 2e-2}[dtype]
    assert torch.allclose(out, whole, atol=tolerance)
    assert torch.allclose(both, lse, atol=2e-6)


def test_an_empty_set_leaves_the_other_as_it_is():
    torch.manual_seed(0)
    a, lse_a = torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5)
    nothing, never = torch.zeros_like(a), torch.full_like(lse_a, -math.inf)
    for one, other in (
        (merge(a, lse_a, nothing, never), (a, lse_a)),
        (merge(nothing, never, a, lse_a), (a, lse_a)),
        (merge(nothing, never, nothing, never), (nothing, never)),
    ):
        assert torch.allclose(one[0], other[0], atol=1e-6)
        assert torch.equal(one[1], other[1])


def test_far_apart_sums_do_not_overflow():
    a, b = torch.ones(1, 1, 2, 1), torch.zeros(1, 1, 2, 1)
    out, lse = merge(a, torch.tensor([[[5e4, -5e4]]]), b, torch.tensor([[[-5e4, 5e4]]]))
    assert torch.equal(out.flatten(), torch.tensor([1.0, 0.0]))
    assert torch.equal(lse.flatten(), torch.tensor([5e4, 5e4]))


def test_rows_that_saw_nothing_yet_take_the_second_set():
    q, k, v = inputs(q_length=20, k_length=20)
    causal = plan(q, k, v, causal=True, precision="native", backend="reference").request
    request = replace(causal, k_length=10)  # the first ten queries lie before every key
    first = REFERENCE.attend(REFERENCE.encode(q, k[:, :, :10], v[:, :, :10], request), request)
    assert (first[1][..., :10] == -math.inf).all()
    out, lse = over(q, k[:, :, 10:], v[:, :, 10:], into=(first[0].clone(), first[1].clone()))
    alone, alone_lse = over(q, k[:, :, 10:], v[:, :, 10:])
    assert torch.allclose(out[:, :, :10], alone[:, :, :10], atol=1e-6)
    assert torch.allclose(lse[..., :10], alone_lse[..., :10], atol=1e-6)
    assert (lse[..., 10:] > alone_lse[..., 10:]).all()
