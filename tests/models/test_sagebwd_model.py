"""A model of transformers is trained in 8 bits by the name of its attention."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

import foveate.models.transformers  # noqa: F401 - makes the names known
from foveate.models.spec import parse
from foveate.train.language import next_token_loss
from tests.tiny import decoder


def test_a_name_may_have_options():
    assert parse("foveate:sagebwd").precision == "sagebwd"
    assert parse("foveate:sagebwd(block)").precision.scales == "block"


@pytest.mark.parametrize("name", ["foveate:sagebwd", "foveate:sagebwd(block)"])
def test_gradients_of_a_model_are_near_those_of_exact_attention(name):
    model = decoder().train()
    tokens = torch.randint(3, 101, (2, 130), generator=torch.Generator().manual_seed(0))
    found = []
    for attention in ("sdpa", name):
        model.set_attn_implementation(attention)
        model.zero_grad()
        next_token_loss(model, tokens).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    exact, ours = found
    assert not torch.equal(exact, ours)
    assert (ours - exact).norm() < 0.05 * exact.norm()
