"""SageBwd on whole matrices agrees with the reference."""

from __future__ import annotations

import pytest
import torch

from benchmarks.sagebwd_dense import dense
from foveate import SageBwd, attention
from tests.contract.cases import relative_l1


@pytest.mark.parametrize("precision", [SageBwd(), SageBwd("block"), SageBwd(delta="out")], ids=str)
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
def test_whole_matrices_give_the_reference(precision, causal):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, h, 256, 64, generator=generator) for h in (4, 2, 2))
    q, k, v = (x.requires_grad_() for x in (q, k + 2, v + 1))
    dout = torch.randn(2, 4, 256, 64, generator=generator)
    mine = dense(q, k, v, precision, causal)
    want = attention(q, k, v, precision=precision, causal=causal, backend="reference")
    assert relative_l1(mine, want.double()) < 1e-4
    grads = [torch.autograd.grad(x, (q, k, v), dout) for x in (mine, want)]
    for x, y in zip(*grads, strict=True):
        # a last bit may turn one code to its neighbour, and δ from the output follows
        assert relative_l1(x, y.double()) < 1e-3


def test_other_lengths_and_choices_are_refused():
    x = torch.zeros(1, 1, 100, 64)
    with pytest.raises(ValueError, match="100 and 100 tokens; expected one multiple of 128"):
        dense(x, x, x, SageBwd(), True)
    x = torch.zeros(1, 1, 128, 64)
    with pytest.raises(ValueError, match="expected only scales and delta"):
        dense(x, x, x, SageBwd(dp="int8"), True)
