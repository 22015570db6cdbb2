"""Perplexity, agreement and the comparison record."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.measure import tasks
from foveate.measure.attention_map import attention_map
from foveate.measure.comparison import Way, compare
from foveate.measure.memory import peak_memory, resident
from foveate.models import transformers as _names  # noqa: F401


@pytest.fixture
def tokens():
    return torch.randint(3, 101, (1, 200))


def test_perplexity_is_the_models_own_loss(tiny, tokens, monkeypatch):
    monkeypatch.setattr(tasks, "CHUNK", 64)  # several chunks, the last one ragged
    model = tiny()
    with torch.no_grad():
        out = model(tokens, labels=tokens)
    reading = tasks.read(model, tokens)
    assert math.isclose(math.log(reading.perplexity), out.loss.item(), rel_tol=1e-5)
    assert torch.equal(reading.best, out.logits[0, :-1].argmax(-1))
    assert reading.seconds > 0


def test_agreement_counts_equal_tokens(tiny, tokens):
    reading = tasks.read(tiny(), tokens)
    other = tasks.Reading(1.0, None, reading.losses, reading.best.clone())
    assert reading.agreement(other) == 1
    other.best[:50] += 1
    assert math.isclose(reading.agreement(other), 1 - 50 / 199)
    with pytest.raises(ValueError, match="199 and 10"):
        reading.agreement(tasks.Reading(1.0, None, reading.losses[:10], reading.best[:10]))


def test_wrong_tokens_are_refused(tiny):
    with pytest.raises(ValueError, match=r"tokens has shape \[3\]"):
        tasks.read(tiny(), torch.arange(3))


def test_comparison_records_each_way_and_keeps_the_model(tiny, tokens):
    model, seen = tiny(), []
    ways = [
        Way("native", "foveate:native"),
        Way("tight window", "foveate:window(4,0)+native"),
        Way("later", "foveate:vsa"),
    ]
    rows = compare(model, tokens, ways, rounds=2, tick=seen.append)
    assert model.config._attn_implementation == "sdpa"
    assert [row["label"] for row in rows] == ["torch SDPA", "native", "tight window", "later"]
    assert (rows[0]["speedup"], rows[0]["change"], rows[0]["agreement"]) == (1, 0, 1)
    assert abs(rows[1]["change"]) < 1e-4
    assert rows[1]["agreement"] == 1
    assert rows[2]["agreement"] < 0.9
    assert "vsa" in rows[3]["error"]
    assert len(rows[1]["seconds"]) == 2
    assert seen.count("later") == 1  # not tried again


def test_attention_map_is_a_causal_distribution(tiny, tokens):
    model = tiny()
    picture = attention_map(model, tokens, layer=1, cells=8)
    mass = torch.tensor(picture["mass"])
    assert mass.shape == (8, 8)
    assert torch.allclose(mass.sum(-1), torch.ones(8), atol=1e-3)
    assert mass.triu(1).abs().max() == 0
    assert 0 < picture["share95"] <= 1
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match=r"layer is 7; expected one without a window, of \[0, 1\]"):
        attention_map(model, tokens, layer=7, cells=8)


def test_attention_map_avoids_layers_with_a_window(tiny, tokens):
    kinds = ["sliding_attention", "full_attention"]
    model = tiny("Qwen2", use_sliding_window=True, sliding_window=8, layer_types=kinds)
    assert attention_map(model, tokens, cells=8)["layer"] == 1
    with pytest.raises(ValueError, match="layer is 0; expected one without a window"):
        attention_map(model, tokens, layer=0, cells=8)


def test_peak_memory_sees_what_was_freed():
    if resident() is None:
        pytest.skip("this system does not report memory")
    with peak_memory() as peak:
        block = torch.ones(64 << 20, dtype=torch.uint8)
        del block
    if peak.extra is None:
        pytest.skip("this system does not let the peak be reset")
    assert 60 << 20 < peak.extra < 256 << 20
