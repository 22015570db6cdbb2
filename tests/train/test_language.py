"""Texts, the small decoder, and learning with 8-bit attention."""

from __future__ import annotations

import math

import pytest
import torch

from foveate import SageBwd
from foveate.train import Recipe, Share, fit
from foveate.train.language import (
    Decoder,
    DecoderSize,
    Text,
    bytes_of,
    next_token_loss,
    perplexity,
)

RHYME = "the cat sat on the mat, and the rat sat on the cat. "
SMALL = DecoderSize(layers=2, width=64, heads=2)


def test_the_end_of_each_text_is_held_out(tmp_path):
    (tmp_path / "a").write_text("a" * 90 + "x" * 10)
    (tmp_path / "b").write_text("b" * 45 + "y" * 5)
    text = Text.from_files([tmp_path / "a", tmp_path / "b"], bytes_of)
    assert bytes(text.train.tolist()) == b"a" * 90 + b"b" * 45
    assert bytes(text.held_out.tolist()) == b"x" * 10 + b"y" * 5
    assert text.stretches(4).shape == (3, 5)
    assert text.stretches(4, most=2).shape == (2, 5)


def test_a_batch_is_a_function_of_its_number_and_shared_by_processes():
    text = Text(torch.arange(1000), torch.arange(10))
    batches = text.batches(4, 16, seed=1)
    whole = batches(7, Share())
    assert torch.equal(whole, text.batches(4, 16, seed=1)(7, Share()))
    assert not torch.equal(whole, batches(8, Share()))
    assert (whole.diff(dim=1) == 1).all()
    parts = [batches(7, Share(rank, 2)) for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)


def test_texts_that_are_too_short_are_refused():
    text = Text(torch.arange(9), torch.arange(3))
    with pytest.raises(ValueError, match="9 tokens to train on; expected more than 16"):
        text.batches(1, 16)
    with pytest.raises(ValueError, match="3 tokens are held out; expected at least 5"):
        text.stretches(4)
    with pytest.raises(ValueError, match="texts are empty"):
        Text.of([""], bytes_of)
    with pytest.raises(ValueError, match=r"DecoderSize.width is 63 for 2 heads"):
        DecoderSize(width=63, heads=2)
    with pytest.raises(ValueError, match="kv_heads is 3"):
        DecoderSize(kv_heads=3)


def test_the_decoder_looks_back_only():
    torch.manual_seed(0)
    model = Decoder(DecoderSize(layers=2, width=64, heads=4, kv_heads=2))
    tokens = torch.randint(256, (2, 20))
    other = tokens.clone()
    other[:, 12:] = 0
    a, b = model(tokens), model(other)
    torch.testing.assert_close(a[:, :12], b[:, :12])
    assert not torch.allclose(a[:, 12:], b[:, 12:])
    assert len(model.score_sizes(tokens)) == 2


@pytest.mark.parametrize("precision", [SageBwd(), SageBwd("block")], ids=["axis", "block"])
@pytest.mark.parametrize("qk_norm", [True, False], ids=["norm", "plain"])
def test_eight_bits_learn_what_exact_numbers_learn(precision, qk_norm):
    text = Text.of([RHYME * 40], bytes_of)
    losses = []
    for numbers in ("native", precision):
        torch.manual_seed(0)
        model = Decoder(DecoderSize(layers=2, width=64, heads=2, qk_norm=qk_norm), numbers)
        records = fit(model, next_token_loss, text.batches(4, 64), Recipe(steps=30, lr=5e-3))
        losses.append([r["loss"] for r in records])
        assert perplexity(model.eval(), text.stretches(64)) < 16
    exact, ours = (torch.tensor(x) for x in losses)
    assert exact[-1] < 0.5 * exact[0]
    assert (ours - exact).abs().max() < 0.05 * exact[0]
    assert not torch.equal(ours, exact)


def test_perplexity_of_a_model_that_knows_nothing_is_its_vocabulary():
    tokens = torch.randint(50, (3, 9))
    assert math.isclose(
        perplexity(lambda x: torch.zeros(*x.shape, 50), tokens, batch=2), 50, rel_tol=1e-5
    )
