"""Attention to stores where each head holds another number of tokens, on every backend."""

from __future__ import annotations

import pytest
import torch

from foveate import BackendError
from foveate.attn.backends import BACKENDS
from foveate.attn.headwise import attend


def case(dtype=torch.float32):
    """q `[2, 6, 1, 32]` on 3 kv heads that hold 0 to 70 tokens; what is not held is NaN."""
    torch.manual_seed(0)
    start = torch.tensor([[0, 70, 80]] * 2)
    length = torch.tensor([[70, 1, 33], [12, 10, 0]])
    q, k, v = torch.randn(2, 6, 1, 32), *torch.randn(2, 2, 120, 32).unbind()
    for row in range(2):
        hidden = torch.ones(120, dtype=torch.bool)
        for head in range(3):
            first = int(start[row, head])
            hidden[first : first + int(length[row, head])] = False
        k[row, hidden], v[row, hidden] = torch.nan, torch.nan
    return q.to(dtype), k.to(dtype), v.to(dtype), start, length


@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_a_head_attends_to_what_it_holds(backend, dtype):
    q, k, v, start, length = case(dtype)
    try:
        out, lse = attend(q, k, v, start, length, backend=backend)
    except BackendError as error:
        assert backend == "cpu"
        pytest.skip(str(error))
    tolerance = {torch.bfloat16: 2e-2, torch.float32: 1e-5, torch.float64: 1e-6}[dtype]
    for row in range(2):
        for head in range(6):
            first, count = int(start[row, head // 2]), int(length[row, head // 2])
            keys, values = (x[row, first : first + count].double() for x in (k, v))
            scores = keys @ q[row, head, 0].double() * 32**-0.5
            expected = (scores.softmax(0) @ values) if count else torch.zeros(32).double()
            torch.testing.assert_close(
                out[row, head, 0].double(), expected, rtol=tolerance, atol=tolerance
            )
            torch.testing.assert_close(
                lse[row, head, 0].double(), scores.logsumexp(0), rtol=1e-2, atol=tolerance
            )


def test_codes_are_multiplied_by_the_scales_of_their_tokens():
    q, k, v, start, length = (x.nan_to_num() if x.is_floating_point() else x for x in case())
    scales = [x.abs().amax(-1) / 127 for x in (k, v)]
    codes = [
        (x / s.clamp(min=1e-9)[..., None]).round().to(torch.int8)
        for x, s in zip((k, v), scales, strict=True)
    ]
    plain = [c * s[..., None] for c, s in zip(codes, scales, strict=True)]
    expected, _ = attend(q, *plain, start, length, backend="reference")
    found, _ = attend(q, *codes, start, length, k_scale=scales[0], v_scale=scales[1])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_what_cannot_run_says_why():
    q, k, v, start, length = case()
    with pytest.raises(BackendError, match=r'backend "cpu" needs .*not float64'):
        attend(q.double(), k.double(), v.double(), start, length, backend="cpu")
    with pytest.raises(ValueError, match=r"q is \[2, 6, 2, 32\]; expected \[B, Hq, 1, D\]"):
        attend(q.expand(-1, -1, 2, -1), k, v, start, length)
    with pytest.raises(ValueError, match='unknown backend "gpu"'):
        attend(q, k, v, start, length, backend="gpu")
    with pytest.raises(ValueError, match="grad"):
        attend(q.requires_grad_(), k, v, start, length)
