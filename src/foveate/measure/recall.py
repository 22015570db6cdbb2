"""Asking a model: one prefill for each sample, then what it writes and how it ranks the answers.

The one thing to know: the prompt is read once, with the attention under test; the greedy answer and
the scores of right and wrong answers all go on from that one cache.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .haystack import Sample, encode

ROOM = 64  # tokens an answer may take: a prompt of L − ROOM tokens and its answer fit into L


@dataclass(frozen=True)
class Answer:
    """What a model made of a sample.

    Args:
        text: What it wrote.
        recall: Share of the answers that are in the text.
        ranking: Chance that a right answer is more probable to the model than a wrong one
            (1/2 is guessing); the probability is the geometric mean over an answer's tokens.
        loss: −ln p for a token of the right answers, on average.
        seconds: Time of the prefill.
    """

    text: str
    recall: float
    ranking: float
    loss: float
    seconds: float


@torch.inference_mode()
def ask(model: Any, tokenizer: Any, sample: Sample) -> Answer:
    """Let a model answer.

    Args:
        model: A transformers causal language model in eval mode, attention already chosen.
        tokenizer: Its tokenizer.
        sample: The question.

    Returns:
        The answer and its scores.
    """
    start = time.perf_counter()
    out = model(input_ids=sample.tokens, use_cache=True, logits_to_keep=1)
    seconds = time.perf_counter() - start
    cache, first = out.past_key_values, out.logits[0, -1].float().log_softmax(-1)
    scores = {}
    for text in (*sample.answers, *sample.others):
        ids = encode(tokenizer, f" {text}")
        scores[text] = _mean_log_p(model, cache, first, ids)
    right, wrong = ([scores[t] for t in group] for group in (sample.answers, sample.others))
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    written = _greedy(model, tokenizer, cache, first, sample)
    return Answer(
        text=written,
        recall=sum(a in written for a in sample.answers) / len(sample.answers),
        ranking=sum(pairs) / len(pairs) if pairs else 1.0,
        loss=-sum(right) / len(right),
        seconds=seconds,
    )


def _mean_log_p(model: Any, cache: Any, first: Tensor, ids: list[int]) -> float:
    """ln p of a token of `ids` after the cache, on average."""
    total = float(first[ids[0]])
    if len(ids) > 1:
        logits = _step(model, cache, ids[:-1])
        total += float(logits.log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None]).sum())
    return total / len(ids)


def _step(model: Any, cache: Any, ids: list[int]) -> Tensor:
    """Logits after each of some tokens `[len(ids), vocabulary]`; the cache stays as it is."""
    whole = any(getattr(layer, "is_sliding", False) for layer in cache.layers)
    mine = copy.deepcopy(cache) if whole else cache  # a sliding layer cannot forget its last keys
    logits = model(
        input_ids=torch.tensor([ids], device=model.device), past_key_values=mine, use_cache=True
    ).logits[0]
    if mine is cache:
        cache.crop(-len(ids))  # a negative number is how many to forget
    return logits.float()


def _greedy(model: Any, tokenizer: Any, cache: Any, first: Tensor, sample: Sample) -> str:
    """The most probable continuation, as long as all answers and some words around them.

    Uses the cache up.
    """
    budget = 8 + sum(4 + len(encode(tokenizer, f" {a}")) for a in sample.answers)
    budget = min(budget, ROOM)
    stop = {tokenizer.eos_token_id, getattr(model.generation_config, "eos_token_id", None)}
    ids, logits, single = [], first, len(sample.answers) == 1  # several may come as a list
    for _ in range(budget):
        token = int(logits.argmax())
        if token in stop:
            break
        ids.append(token)
        if single and "\n" in tokenizer.decode([token]):
            break
        logits = model(
            input_ids=torch.tensor([[token]], device=model.device),
            past_key_values=cache,
            use_cache=True,
        ).logits[0, -1]
    return tokenizer.decode(ids, skip_special_tokens=True)
