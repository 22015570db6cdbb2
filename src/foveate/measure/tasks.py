"""What a language model gets right: perplexity and next-token agreement, with the time it took.

The one thing to know: one pass gives both. The timed part is the prefill a user waits for (all
layers, a filled cache, logits of the last token); the scores come afterwards from the same hidden
states.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .memory import peak_memory

CHUNK = 512  # positions whose logits exist at once; all of them would be 1.6 GB at 8k tokens


@dataclass(frozen=True, eq=False)
class Reading:
    """How a model read a text.

    Args:
        seconds: Time of the prefill.
        memory: Peak bytes above those in use before the prefill; None if unknown.
        losses: −ln p of each next token, float32 `[L − 1]`.
        best: Most probable next token at each position, int64 `[L − 1]`.
    """

    seconds: float
    memory: int | None
    losses: Tensor
    best: Tensor

    @property
    def perplexity(self) -> float:
        """exp of the mean loss: how many tokens the model hesitates between."""
        return math.exp(float(self.losses.double().mean()))

    def agreement(self, other: Reading) -> float:
        """Share of positions where both would say the same next token."""
        if self.best.shape != other.best.shape:
            raise ValueError(
                f"readings differ in length, {len(self.best)} and {len(other.best)}; "
                "compare readings of the same tokens"
            )
        return float((self.best == other.best).double().mean())


@torch.inference_mode()
def read(model: Any, tokens: Tensor) -> Reading:
    """Let a causal language model read tokens, and score it.

    Args:
        model: A transformers model with a language-model head, in eval mode.
        tokens: int64 `[1, L]`, L ≥ 2.

    Returns:
        Time, memory, losses and predictions.

    Raises:
        ValueError: tokens has another shape.
    """
    if tokens.dim() != 2 or tokens.shape[0] != 1 or tokens.shape[1] < 2:
        raise ValueError(f"tokens has shape {list(tokens.shape)}; expected [1, L] with L >= 2")
    seconds, memory, hidden = _prefill(model, tokens)
    losses, best = _score(model, hidden, tokens)
    return Reading(seconds, memory, losses, best)


@torch.inference_mode()
def prefill_seconds(model: Any, tokens: Tensor) -> float:
    """Only the time of the prefill."""
    return _prefill(model, tokens)[0]


def _prefill(model: Any, tokens: Tensor) -> tuple[float, int | None, Tensor]:
    kept: list[Tensor] = []
    hook = model.base_model.register_forward_hook(
        lambda module, inputs, output: kept.append(output.last_hidden_state)
    )
    try:
        with peak_memory() as peak:
            start = time.perf_counter()
            model(input_ids=tokens, use_cache=True, logits_to_keep=1)
            seconds = time.perf_counter() - start
    finally:
        hook.remove()
    return seconds, peak.extra, kept[0]


def _score(model: Any, hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Losses and predictions at every position but the last, both `[L − 1]`."""
    head, cap = (
        model.get_output_embeddings(),
        getattr(model.config, "final_logit_softcapping", None),
    )
    losses, best = [], []
    for start in range(0, tokens.shape[1] - 1, CHUNK):
        stop = min(start + CHUNK, tokens.shape[1] - 1)
        logits = head(hidden[0, start:stop]).float()  # [chunk, vocabulary]
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        losses.append(F.cross_entropy(logits, tokens[0, start + 1 : stop + 1], reduction="none"))
        best.append(logits.argmax(-1))
    return torch.cat(losses), torch.cat(best)
