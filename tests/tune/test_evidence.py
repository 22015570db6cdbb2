"""Evidence: the output of any choice of blocks, exactly, without running attention."""

from __future__ import annotations

import pytest
import torch

from foveate import BlockLayout, attention
from foveate.attn.layouts.rules import block_regions
from foveate.tune.capture import capture
from foveate.tune.evidence import gather, sample_rows

from .conftest import structured


def some_visits(seen, block, share=0.5):
    """Random blocks, always with the diagonal, `[1, Hq, nQ, nK]`."""
    lengths = (seen.q.shape[2], seen.k.shape[2])
    from foveate import Band

    allowed, kept = block_regions(Band(after=0) if seen.causal else None, lengths, block)
    g = torch.Generator().manual_seed(5)
    shape = (1, seen.q.shape[1], *allowed.shape[-2:])
    return ((torch.rand(shape, generator=g) < share) | kept) & allowed, lengths


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("block", [(128, 64), (64, 64), (37, 50)])
def test_any_mask_gives_the_output_of_the_engine(causal, block):
    seen = structured(causal=causal)
    visits, lengths = some_visits(seen, block)
    layout = BlockLayout.from_dense(visits, block, lengths)
    options = {"precision": "native", "causal": causal, "scale": seen.scale, "backend": "reference"}
    out = attention(seen.q, seen.k, seen.v, select=layout, **options)
    exact = attention(seen.q, seen.k, seen.v, **options)
    error = (out - exact).abs().sum((2, 3))[0]
    evidence = gather(seen, block, rows=10**6)
    _, found = evidence.judge(visits)
    torch.testing.assert_close(found[0], error, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(evidence.size, exact.abs().sum((2, 3))[0], rtol=1e-5, atol=1e-2)


def test_all_blocks_have_no_error_and_all_mass():
    seen = structured()
    evidence = gather(seen, (128, 64))
    retained, error = evidence.judge(torch.ones(1, 4, 6, 11, dtype=torch.bool))
    torch.testing.assert_close(retained, torch.ones(1, 4))
    assert (error / evidence.size).max() < 1e-6


def test_retained_mass_is_that_of_the_softmax():
    seen = structured(heads=2, kv_heads=1)
    visits, _ = some_visits(seen, (128, 64))
    scores = seen.q[0] @ seen.k[0].transpose(-1, -2) * seen.scale
    hidden = torch.ones(700, 700, dtype=torch.bool).triu(1)
    p = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    dense = visits[0].repeat_interleave(128, 1).repeat_interleave(64, 2)[:, :700, :700]
    retained, _ = gather(seen, (128, 64), rows=128).judge(visits)
    torch.testing.assert_close(retained[0], (p * dense).sum(-1).mean(-1))


def test_block_mass_sums_to_one_in_each_row():
    mass = gather(structured(), (128, 64), rows=4).block_mass()
    assert mass.shape == (4, 6, 11)
    torch.testing.assert_close(mass.sum(-1), torch.ones(4, 6))


def test_an_empty_row_gives_zero_as_the_engine_does():
    seen = structured()
    evidence = gather(seen, (128, 64))
    _, error = evidence.judge(torch.zeros(1, 4, 6, 11, dtype=torch.bool))
    torch.testing.assert_close(error[0], evidence.size)


def test_sampled_rows_are_spread_over_every_block():
    at, block_of = sample_rows(1000, 128, 8)
    assert torch.equal(at // 128, block_of)
    assert block_of.bincount().tolist()[:7] == [8] * 7
    assert at.max() == 999 or at.max() < 1000
    assert len((at % 128).unique()) > 24  # other places in other blocks
    assert torch.equal(sample_rows(100, 32, 99)[0], torch.arange(100))


def test_a_sample_judges_like_all_rows():
    seen = structured()
    visits, _ = some_visits(seen, (128, 64))
    whole, part = gather(seen, (128, 64), rows=128), gather(seen, (128, 64), rows=16)
    every, some = (e.judge(visits)[1][0] / e.size for e in (whole, part))
    assert (some / every - 1).abs().max() < 0.2


@torch.no_grad()
def test_capture_shows_what_the_model_attends_with(tiny, tokens):
    model, kept = tiny(), []
    before = model(tokens).logits
    assert capture(model, tokens, kept.append) == 2
    assert [seen.layer for seen in kept] == [0, 1]
    assert kept[0].q.shape == (1, 4, 700, 16)
    assert kept[0].k.shape == (1, 2, 700, 16)
    assert kept[0].causal
    assert kept[0].scale == pytest.approx(0.25)
    assert torch.equal(model(tokens).logits, before)  # and leaves it as it was
    # the second layer's input follows from the first one's output
    first = kept[0]
    out = attention(first.q, first.k, first.v, causal=True, precision="native")
    block = model.model.layers[0]
    x = model.model.embed_tokens(tokens)
    x = x + block.self_attn.o_proj(out.transpose(1, 2).flatten(2))
    x = x + block.mlp(block.post_attention_layernorm(x))
    v = model.model.layers[1].self_attn.v_proj(model.model.layers[1].input_layernorm(x))
    torch.testing.assert_close(kept[1].v.transpose(1, 2).flatten(2), v, rtol=1e-3, atol=1e-4)


def test_capture_passes_over_window_layers(tiny, tokens):
    kept = []
    layers = {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
    model = tiny("Qwen3", head_dim=16, use_sliding_window=True, **layers)
    assert capture(model, tokens, kept.append) == 1
    assert kept[0].layer == 1


def test_capture_refuses_a_batch(tiny, tokens):
    with pytest.raises(ValueError, match=r"tokens has shape \[2, 700\]; expected \[1, L\]"):
        capture(tiny(), tokens.repeat(2, 1), lambda seen: None)


def test_capture_leaves_the_model_alone_when_it_is_stopped(tiny, tokens):
    model = tiny()
    before = model.config._attn_implementation

    def stop(seen):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(model, tokens, stop)
    assert model.config._attn_implementation == before
    assert model(tokens[:, :20]).logits.isfinite().all()
