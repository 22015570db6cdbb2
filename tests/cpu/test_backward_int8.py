"""The way back in 8 bits, on every target, against the reference of the same numbers."""

from __future__ import annotations

import pytest
import torch

from foveate import SageBwd, attention
from foveate.attn.gradient import gradients
from foveate.errors import BackendError
from tests.cpu.kit import CALLS, SMALL, Call, backward_arguments, check_gradients

FLIPS = 4e-3  # a code that rounds the other way, now and then; the format itself errs by 1e-2


@pytest.mark.parametrize("delta", ["products", "out"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_gradients_match_the_reference(target, call, delta):
    (q, k, v), dout, rest = backward_arguments(call, SageBwd(delta=delta))
    out, lse = attention(q, k, v, return_lse=True, backend="reference", **rest)
    dlse = torch.where(lse.isfinite(), torch.randn(q.shape[:3]), 0)
    want, got = (
        gradients(dout, dlse, q, k, v, out, lse, backend=backend, **rest)
        for backend in ("reference", "cpu")
    )
    limit = FLIPS * max(1.0, call.scale or 1.0)  # rounding of exponentials grows with the scale
    check_gradients(got, want, (q, k, v), limit)


def test_a_nan_in_the_gradient_stays_visible(target):
    (q, k, v), _ = Call("plain", SMALL).arguments()
    out, lse = attention(q, k, v, precision="sagebwd", return_lse=True, backend="cpu")
    dout = torch.ones_like(out)
    dout[0, 0, 3, 0] = torch.nan
    rest = (None, "dense", "sagebwd", False, None, "cpu")
    dq, dk, dv = gradients(dout, None, q, k, v, out, lse, *rest)
    assert dq[0, 0, 3].isnan().any()
    assert dk[0, 0].isnan().any()
    assert dv[0, 0].isnan().any()


@pytest.mark.parametrize(
    "numbers", [SageBwd(scales="block"), SageBwd(dp="int8"), SageBwd(smooth_q=True)], ids=str
)
def test_other_numbers_are_left_to_the_reference(numbers):
    (q, k, v), _ = Call("plain", SMALL).arguments()
    with pytest.raises(BackendError, match=r"(has a|no) backward pass in integers"):
        attention(q, k, v, precision=numbers, backend="cpu")
    assert attention(q, k, v, precision=numbers).isfinite().all()
