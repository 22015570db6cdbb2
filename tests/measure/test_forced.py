"""Answers in one pass are those of greedy decoding."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.measure.forced import effective_context, forced, forced_together
from foveate.measure.haystack import Sample


class Digits:
    """A tokenizer: a token for each character."""

    def __call__(self, text, add_special_tokens=True):
        return SimpleNamespace(input_ids=[3 + ord(c) % 90 for c in text])


@pytest.fixture
def model():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    made = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=101,
        )
    ).eval()
    made.generation_config.eos_token_id = None
    return made


def test_right_is_what_greedy_decoding_writes(model):
    torch.manual_seed(1)
    tokenizer = Digits()
    letters = {tokenizer(chr(c)).input_ids[0]: chr(c) for c in range(33, 123)}
    space = tokenizer(" ").input_ids[0]
    head = model.get_output_embeddings().weight  # only letters and the space can be written
    head.data[[t for t in range(101) if t not in letters and t != space]] = -head.data.abs().mean()
    prompt = torch.randint(3, 93, (1, 20))
    found = []
    for first in (None, space):  # as the model goes on, and as an answer with its space does
        tokens = prompt if first is None else torch.cat([prompt, torch.tensor([[first]])], dim=1)
        written = model.generate(tokens, max_new_tokens=4, do_sample=False)[0, tokens.shape[1] :]
        right = "".join(letters.get(t, " ") for t in written.tolist())
        for answer in (right, right[:-1] + ("a" if right[-1] != "a" else "b")):
            found.append(check(model, tokenizer, prompt, answer))
    assert True in found or found.count(False) == len(found)


def check(model, tokenizer, prompt, answer) -> bool:
    """Compare `forced` with a pass of the model and with generation."""
    ids = torch.tensor(tokenizer(f" {answer}").input_ids)
    one = forced(model, tokenizer, Sample("none", 0, prompt, (answer,), (), ""))
    with torch.no_grad():
        logits = model(torch.cat([prompt, ids[None, :-1]], dim=1)).logits[0, -len(ids) :]
    expected = torch.nn.functional.cross_entropy(logits, ids)
    assert one.loss == pytest.approx(float(expected), rel=1e-5)
    written = model.generate(prompt, max_new_tokens=len(ids), do_sample=False)[0, prompt.shape[1] :]
    assert one.right == torch.equal(written, ids)
    return one.right


def test_together_is_as_one_by_one(model):
    draw, tokenizer = torch.Generator().manual_seed(2), Digits()
    samples = [
        Sample("none", n, torch.randint(3, 93, (1, 20), generator=draw), (str(n) * 3,), (), "")
        for n in range(3)
    ]
    alone = [forced(model, tokenizer, sample) for sample in samples]
    for one, other in zip(alone, forced_together(model, tokenizer, samples), strict=True):
        assert one.right == other.right
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
    longer = Sample("none", 3, torch.ones(1, 21, dtype=torch.int64), ("333",), (), "")
    with pytest.raises(
        ValueError, match=r"of \[\(20, 4\), \(21, 4\)\] tokens; expected equal ones"
    ):
        forced_together(model, tokenizer, [*samples, longer])


def test_effective_context_is_the_largest_length_that_is_good_enough():
    assert effective_context({1024: 1.0, 2048: 0.95, 4096: 0.9}) == 2048
    assert effective_context({1024: 0.5}) == 0
