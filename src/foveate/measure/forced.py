"""Answers without generation: does a model, given all but the next token, choose the right one?

Greedy decoding writes an answer exactly if every one of its tokens is the best one after those
before it; so one pass over prompt and answer tells what generation would, and gives the answer's
loss as well.

The one thing to know: a selection serves the answer's tokens as it serves the prompt's. Where both
differ (spans of decoding, say), choose a rule that is the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from .haystack import Sample, encode

ENOUGH = 0.9  # share of right answers that makes a length part of the effective context


@dataclass(frozen=True)
class Forced:
    """What a model makes of an answer that it is given.

    Args:
        right: Whether greedy decoding would write it.
        loss: −ln p for a token of it, on average.
    """

    right: bool
    loss: float


@torch.inference_mode()
def forced(model: Any, tokenizer: Any, sample: Sample) -> Forced:
    """Read a prompt and its first answer in one pass.

    Args:
        model: A transformers causal language model in eval mode, attention already chosen.
        tokenizer: Its tokenizer.
        sample: The question; only the first of its answers counts.
    """
    return forced_together(model, tokenizer, [sample])[0]


@torch.inference_mode()
def forced_together(model: Any, tokenizer: Any, samples: Sequence[Sample]) -> list[Forced]:
    """The same for several samples as one batch, which fills a GPU better.

    Args:
        model: As for `forced`.
        tokenizer: Its tokenizer.
        samples: Questions whose prompts and first answers have equal numbers of tokens.

    Raises:
        ValueError: They have not.
    """
    answers = [encode(tokenizer, f" {sample.answers[0]}") for sample in samples]
    sizes = {(sample.tokens.shape[1], len(a)) for sample, a in zip(samples, answers, strict=True)}
    if len(sizes) != 1:
        raise ValueError(
            f"samples have (prompt, answer) of {sorted(sizes)} tokens; expected equal ones"
        )
    answer = torch.tensor(answers, device=model.device)  # [B, A]
    prompts = torch.cat([sample.tokens for sample in samples]).to(model.device)
    tokens = torch.cat([prompts, answer[:, :-1]], dim=1)
    hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(hidden[:, -answer.shape[1] :]).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    right = (logits.argmax(-1) == answer).all(1).tolist()
    losses = F.cross_entropy(logits.mT, answer, reduction="none").mean(1).tolist()
    return [Forced(*pair) for pair in zip(right, losses, strict=True)]


def effective_context(accuracy: Mapping[int, float], enough: float = ENOUGH) -> int:
    """The largest length at which more than `enough` of the answers are right; 0 if there is none.

    Args:
        accuracy: Share of right answers at each length.
        enough: What must be exceeded.
    """
    return max((length for length, share in accuracy.items() if share > enough), default=0)
