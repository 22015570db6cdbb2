"""What int8 promises: D1 of sage.md, one head of 2048 × 2048 with N(0, 1) data, against float64."""

from __future__ import annotations

import pytest
import torch

from foveate import attention
from foveate.measure.error import cosine, relative_l1
from tests.contract.cases import dense


@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=lambda d: str(d)[6:])
def test_int8_keeps_its_promise(target, dim, dtype):
    q, k, v = (torch.randn(1, 1, 2048, dim).to(dtype) for _ in range(3))
    out, lse = attention(q, k, v, precision="int8", backend="cpu", return_lse=True)
    exact, exact_lse = dense(q, k, v)
    assert relative_l1(out, exact) <= 0.02
    assert cosine(out, exact) >= 0.9998
    torch.testing.assert_close(lse.double(), exact_lse, rtol=0, atol=0.01)


def test_a_channel_bias_of_keys_costs_nothing(target):
    # smoothing removes it; 8 bits without smoothing would be off by ten times as much
    q, k, v = (torch.randn(1, 1, 1024, 64) for _ in range(3))
    k = k + 5 * torch.randn(1, 1, 1, 64)
    v = v + 3 * torch.randn(1, 1, 1, 64)
    out = attention(q, k, v, precision="int8", backend="cpu")
    exact = dense(q, k, v)[0]
    middle = v.double().mean(2, keepdim=True)
    assert relative_l1(out - middle, exact - middle) <= 0.02
