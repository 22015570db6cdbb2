"""Compiling what is not attention: the same numbers, and only in this model."""

from __future__ import annotations

import shutil

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')
if shutil.which("g++") is None and shutil.which("clang++") is None:
    pytest.skip("torch.compile needs a C++ compiler", allow_module_level=True)

from foveate.models import accelerate


@pytest.mark.slow
@torch.no_grad()
def test_compiled_rest_gives_the_same_logits(tiny):
    model, ids = tiny(), torch.randint(3, 101, (2, 130))
    expected = model(ids).logits
    with accelerate(model, precision="native", backend="reference", compile=True):
        for length in (130, 97):  # the second length must not need another compilation to be right
            found = model(ids[:, :length]).logits
            assert (found - expected[:, :length]).abs().max() < 1e-5


def test_only_this_model_changes_and_undo_brings_it_back(tiny):
    model, other = tiny(), tiny()
    handle = accelerate(model, compile=True)
    changed = [name for name, module in model.named_modules() if "forward" in vars(module)]
    assert "model.layers.0.mlp" in changed
    assert "model.layers.1.self_attn" in changed
    assert "model.norm" in changed
    assert not any("forward" in vars(module) for module in other.modules())
    handle.undo()
    assert not any("forward" in vars(module) for module in model.modules())


@torch.no_grad()
def test_short_inputs_stay_eager(tiny, prompt, monkeypatch):
    def compiled(*args, **kwargs):
        return lambda *a, **k: pytest.fail("a short input was compiled")

    monkeypatch.setattr(torch, "compile", compiled)
    model, ids = tiny(), prompt[0].clamp(min=3)
    expected = model.generate(ids, max_new_tokens=8, do_sample=False)
    with accelerate(model, precision="native", backend="reference", compile=True):
        assert torch.equal(model.generate(ids, max_new_tokens=8, do_sample=False), expected)


@pytest.mark.slow
@torch.no_grad()
def test_a_model_compiled_by_its_owner_is_right(tiny, prompt):
    model, (ids, mask) = tiny(), prompt
    ids = ids.clamp(min=3)
    expected = [model(ids).logits, model(ids, attention_mask=mask).logits[mask.bool()]]
    with accelerate(model, precision="native"):
        compiled = torch.compile(model)
        found = [compiled(ids).logits, compiled(ids, attention_mask=mask).logits[mask.bool()]]
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() < 1e-5
