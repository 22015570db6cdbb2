"""A real language model on a real text; skipped where the model's package is not installed."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.measure.tasks import read
from foveate.models import accelerate, assets


@pytest.fixture(scope="module")
def smollm2():
    try:
        assets.locate("smollm2-135m")
    except assets.MissingAsset as error:
        pytest.skip(str(error))
    return assets.load("smollm2-135m", dtype=torch.float32)


@pytest.fixture(scope="module")
def tokens(smollm2):
    return smollm2[1](assets.text(), return_tensors="pt").input_ids[:, :400]


@torch.no_grad()
def test_native_writes_the_same_tokens_as_sdpa(smollm2, tokens):
    model, _ = smollm2
    padded = torch.cat([torch.full((1, 60), 2), tokens[:, :140]], -1)
    batch = torch.cat([tokens[:, :200], padded])
    mask = torch.ones_like(batch)
    mask[1, :60] = 0
    options = {"attention_mask": mask, "max_new_tokens": 12, "do_sample": False, "pad_token_id": 2}
    expected = model.generate(batch, **options)
    with accelerate(model, precision="native"):
        assert torch.equal(model.generate(batch, **options), expected)


@pytest.mark.parametrize(
    ("precision", "change"), [("native", 1e-4), ("int8", 0.01), ("sage2", 0.02)]
)
def test_perplexity_stays(smollm2, tokens, precision, change):
    model, _ = smollm2
    base = read(model, tokens)
    with accelerate(model, precision=precision):
        found = read(model, tokens)
    assert abs(found.perplexity / base.perplexity - 1) < change
    assert found.agreement(base) > 0.93


def test_perplexity_is_that_of_a_model_that_reads_english(smollm2, tokens):
    assert 10 < read(smollm2[0], tokens).perplexity < 40
