"""Scores from one cache equal those of whole passes; what is written is greedy."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.measure.haystack import Sample, encode
from foveate.measure.recall import ROOM, ask


@pytest.fixture
def question():
    torch.manual_seed(3)
    tokens = torch.randint(5, 101, (1, 90))
    return Sample("test", 0, tokens, ("blue", "red"), ("green", "x", "grey"), "Which?")


def whole_pass(model, tokenizer, tokens, answer):
    """ln p of a token of an answer, from one pass without a cache."""
    ids = torch.tensor([encode(tokenizer, f" {answer}")])
    with torch.inference_mode():
        logits = model(input_ids=torch.cat([tokens, ids], -1), use_cache=False).logits
    log_p = logits[0, tokens.shape[1] - 1 : -1].log_softmax(-1)
    return float(log_p.gather(-1, ids.T).mean())


@pytest.mark.parametrize("family", ["Llama", "Qwen2"])
def test_scores_are_those_of_whole_passes(tiny, tokenizer, question, family):
    windows = {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1}
    model = tiny(family, **(windows if family == "Qwen2" else {}))
    found = ask(model, tokenizer, question)
    right, wrong = (
        [whole_pass(model, tokenizer, question.tokens, text) for text in group]
        for group in (question.answers, question.others)
    )
    assert math.isclose(found.loss, -sum(right) / 2, rel_tol=1e-4)
    assert math.isclose(found.ranking, sum(r > w for r in right for w in wrong) / 6)
    assert found.seconds > 0


def test_writing_is_greedy_and_fits_its_room(tiny, tokenizer, question):
    model = tiny()
    found = ask(model, tokenizer, question)
    with torch.inference_mode():
        expected = model.generate(
            question.tokens, max_new_tokens=ROOM, do_sample=False, pad_token_id=0
        )
    text = tokenizer.decode(expected[0, 90:])
    assert len(found.text) >= 8
    assert text.startswith(found.text)
    assert len(found.text) <= ROOM


def test_recall_counts_answers_in_the_text(tiny, tokenizer, question):
    model = tiny()
    written = ask(model, tokenizer, question).text
    known = Sample("test", 0, question.tokens, (written[2:5], "no such"), ("x",), "Which?")
    assert ask(model, tokenizer, known).recall == 0.5


def test_asking_twice_gives_the_same(tiny, tokenizer, question):
    model = tiny()
    one, two = ask(model, tokenizer, question), ask(model, tokenizer, question)
    assert (one.text, one.loss, one.ranking) == (two.text, two.loss, two.ranking)
