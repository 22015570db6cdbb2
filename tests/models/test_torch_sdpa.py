"""Serving scaled_dot_product_attention: what torch means, said in foveate's words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import foveate
from foveate.models import sdpa


def heads(length: int, count: int = 4) -> torch.Tensor:
    return torch.randn(2, count, length, 16)


CASES = {
    "full": (heads(33), heads(33), {}),
    "causal": (heads(33), heads(33), {"is_causal": True}),
    "causal, more keys": (heads(9), heads(33), {"is_causal": True}),
    "causal, fewer keys": (heads(33), heads(9), {"is_causal": True}),
    "grouped heads": (heads(33), heads(33, 2), {"enable_gqa": True, "is_causal": True}),
    "scale": (heads(9), heads(33), {"scale": 0.5}),
    "bool mask": (heads(9), heads(33), {"attn_mask": torch.rand(2, 1, 9, 33) > 0.3}),
    "additive mask of two dimensions": (heads(9), heads(33), {"attn_mask": torch.randn(9, 33)}),
    "without a batch": (heads(9)[0], heads(33)[0], {}),
}


@pytest.fixture(params=["reference", "auto"])
def backend(request):
    return request.param


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@torch.no_grad()
def test_result_is_torchs(case, backend):
    q, k, options = case
    expected = F.scaled_dot_product_attention(q, k, k, **options)
    with sdpa(precision="native", backend=backend):
        found = F.scaled_dot_product_attention(q, k, k, **options)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-5


@torch.no_grad()
def test_modules_of_torch_are_served(monkeypatch):
    seen = []
    original = foveate.attention
    monkeypatch.setattr(foveate, "attention", lambda *a, **k: seen.append(k) or original(*a, **k))
    layer = torch.nn.MultiheadAttention(64, 4, batch_first=True)  # training mode: no fused path
    x = torch.randn(2, 10, 64)
    with sdpa(precision="int8", backend="reference"):
        layer(x, x, x, need_weights=False)
    layer(x, x, x, need_weights=False)
    assert [call["precision"] for call in seen] == ["int8"]


BAD = {
    "dropout_p=0.5": (heads(8), {"dropout_p": 0.5}),
    "require grad": (heads(8).requires_grad_(), {}),
    "both attn_mask and is_causal": (heads(8), {"attn_mask": torch.zeros(8, 8), "is_causal": True}),
}


@pytest.mark.parametrize(("words", "case"), BAD.items(), ids=BAD.keys())
def test_what_cannot_be_served_raises(words, case):
    q, options = case
    with sdpa(), pytest.raises(ValueError, match=words):
        F.scaled_dot_product_attention(q, q, q, **options)


def test_strict_false_leaves_it_to_torch_and_warns():
    q = heads(8).requires_grad_()
    with sdpa(strict=False), pytest.warns(UserWarning, match="left to torch: inputs require grad"):
        out = F.scaled_dot_product_attention(q, q, q)
    out.sum().backward()
    assert q.grad is not None
