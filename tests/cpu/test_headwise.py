"""Decoding from stores with another number of tokens for each head, against dense attention."""

from __future__ import annotations

import pytest
import torch

from foveate import attention
from foveate.attn.backends.cpu import headwise
from tests.contract.cases import relative_l1
from tests.cpu.kit import TARGETS

pytestmark = pytest.mark.skipif(not TARGETS, reason="the C++ extension is not built")


def store(batch, heads, lengths, dim, dtype=torch.float32, room=5):
    """k and v `[B, N, D]`, start and length int64 `[B, H]`; unused tokens are NaN."""
    most = [max(column) for column in zip(*lengths, strict=True)]
    starts = [sum(most[:h]) + h * room for h in range(heads)]
    k, v = (torch.full((batch, sum(most) + heads * room, dim), torch.nan) for _ in range(2))
    for b in range(batch):
        for h in range(heads):
            at = slice(starts[h], starts[h] + lengths[b][h])
            k[b, at], v[b, at] = torch.randn(2, lengths[b][h], dim)
    start = torch.tensor([starts] * batch)
    return k.to(dtype), v.to(dtype), start, torch.tensor(lengths)


def one_by_one(q, k, v, start, length, scale):
    """Dense float64 attention of each head over its own tokens."""
    group = q.shape[1] // start.shape[1]
    out = torch.zeros(*q.shape[:3], v.shape[2], dtype=torch.float64)
    lse = torch.full(q.shape[:3], -torch.inf, dtype=torch.float64)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            first, count = int(start[b, h // group]), int(length[b, h // group])
            if not count:
                continue
            keys, values = (x[b, first : first + count].double() for x in (k, v))
            scores = q[b, h].double() @ keys.T * scale
            out[b, h], lse[b, h] = scores.softmax(-1) @ values, scores.logsumexp(-1)
    return out, lse


SHAPES = {
    "grouped": (2, 2, 6, ((130, 7), (1, 2100)), 64),
    "an empty head": (1, 3, 3, ((0, 40, 129),), 40),
    "many queries for one key head": (1, 1, 20, ((300,),), 24),
    "nothing at all": (1, 2, 2, ((0, 0),), 16),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_each_head_attends_to_what_it_holds(target, shape, dtype):
    batch, heads, q_heads, lengths, dim = shape
    torch.manual_seed(0)
    k, v, start, length = store(batch, heads, lengths, dim, dtype)
    q = torch.randn(batch, q_heads, 1, dim).to(dtype)
    assert headwise.refuses(q, k) is None
    out, lse = headwise.attend(q, k, v, start, length, dim**-0.5)
    want, want_lse = one_by_one(q, k, v, start, length, dim**-0.5)
    assert out.dtype == dtype
    assert not out.isnan().any()
    assert relative_l1(out, want) < (1e-6 if dtype == torch.float32 else 5e-3)
    torch.testing.assert_close(lse.double(), want_lse, rtol=1e-5, atol=1e-4)


def test_full_heads_are_dense_attention(target):
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 1, 64), torch.randn(2, 2, 500, 64), torch.randn(2, 2, 500, 64)
    start = torch.tensor([[0, 500]] * 2)
    out, lse = headwise.attend(
        q, k.flatten(1, 2), v.flatten(1, 2), start, torch.full_like(start, 500), 0.125
    )
    want, want_lse = attention(q, k, v, precision="native", return_lse=True)
    torch.testing.assert_close(out, want, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(lse, want_lse)


def test_codes_are_multiplied_by_the_scales_of_their_tokens(target):
    torch.manual_seed(0)
    k, v, start, length = store(2, 2, ((130, 7), (90, 2100)), 64, room=0)
    k, v = k.nan_to_num(), v.nan_to_num()
    q = torch.randn(2, 4, 1, 64)
    scales = [x.abs().amax(-1) / 127 for x in (k, v)]
    codes = [
        (x / s.clamp(min=1e-9).unsqueeze(-1)).round().to(torch.int8)
        for x, s in zip((k, v), scales, strict=True)
    ]
    out, lse = headwise.attend(q, *codes, start, length, 0.125, *scales)
    exact = [c * s.unsqueeze(-1) for c, s in zip(codes, scales, strict=True)]
    want, want_lse = one_by_one(q, *exact, start, length, 0.125)
    assert relative_l1(out, want) < 1e-6
    torch.testing.assert_close(lse.double(), want_lse, rtol=1e-5, atol=1e-5)


def test_what_cannot_run_is_refused_with_a_reason():
    q, k = torch.randn(1, 2, 1, 64), torch.randn(1, 10, 64)
    assert "int8, not bfloat16" in headwise.refuses(q, k.bfloat16())
    assert "not float64" in headwise.refuses(q.double(), k.double())
