"""Mean correction on every backend: against the reference, and with rules and shapes of its own."""

from __future__ import annotations

import pytest
import torch

from foveate import Sparge, TopK, Window, XAttention, attention, plan
from foveate.attn.precision import Int8, Native

from .cases import SHAPES, backends

FAST = [name for name in backends() if name != "reference"] or ["reference"]


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("shape", [s for s in SHAPES if s.k_length > 60], ids=str)
@pytest.mark.parametrize("backend", FAST)
def test_correction_is_that_of_the_reference(backend, shape, causal):
    q, k, v = shape.tensors()
    for select in (TopK(1, (16, 16), correct=True), Window(20, 3, (32, 16), correct=True)):
        call = {"select": select, "causal": causal, "precision": "native", "return_lse": True}
        out, lse = attention(q, k, v, backend=backend, **call)
        want, want_lse = attention(q, k, v, backend="reference", **call)
        assert torch.allclose(out, want, atol=2e-5)
        assert torch.allclose(lse, want_lse, atol=2e-5)


@pytest.mark.parametrize("precision", [Native(), Int8()], ids=lambda x: x.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("backend", FAST)
def test_every_dtype_is_corrected(backend, dtype, precision):
    q, k, v = (torch.randn(1, h, 400, 64, dtype=dtype) for h in (4, 2, 2))
    for select in (Sparge(keep=2, correct=True), XAttention(threshold=0.3, correct=True)):
        call = {"select": select, "causal": True, "precision": precision}
        out = attention(q, k, v, backend=backend, **call)
        want = attention(q, k, v, backend="reference", **call)
        assert out.dtype == dtype
        off = (out.double() - want.double()).abs().sum() / want.double().abs().sum()
        assert off < (1e-2 if dtype == torch.bfloat16 or precision == Int8() else 2e-3)


@pytest.mark.parametrize("backend", FAST)
def test_reports_agree(backend):
    q, k, v = (torch.randn(1, h, 512, 64) for h in (4, 2, 2))
    where = torch.arange(512) // 128  # queries and keys of one quarter of the text are alike
    q[:, :, :, 0] += 9.0 * where - 13
    k[:, :, :, 0] += 9.0 * (3 - where) - 13
    select = TopK(0.9, (64, 32), skip=4.0, correct=True)
    one, other = (
        plan(q, k, v, select=select, precision="native", backend=name).run(q, k, v, report=True)[1]
        for name in (backend, "reference")
    )
    assert (one.visited, one.visible) == (other.visited, other.visible)
    assert one.retained == pytest.approx(other.retained, abs=1e-5)
    assert one.error == pytest.approx(other.error, rel=1e-2)
    assert other.skipped > 0.01
    assert one.skipped == pytest.approx(other.skipped, abs=0.01)
