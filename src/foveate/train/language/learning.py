"""What a language model learns from, and how well it has learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def next_token_loss(model: nn.Module, tokens: Tensor) -> Tensor:
    """Mean −log p of each next token, in nats.

    Args:
        model: Tokens `[B, L]` to logits `[B, L, V]`, or to an object that has them as `logits`, as
            models of transformers do.
        tokens: int64 `[B, L + 1]`.
    """
    found = model(tokens[:, :-1])
    logits = getattr(found, "logits", found)
    return cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


@torch.no_grad()
def perplexity(model: nn.Module, stretches: Tensor, batch: int = 8) -> float:
    """exp of the mean loss over stretches of tokens; the model is used in the mode it is in.

    Args:
        model: As for `next_token_loss`.
        stretches: int64 `[n, L + 1]`.
        batch: Stretches at once.
    """
    parts = stretches.split(batch)
    total = sum(float(next_token_loss(model, part)) * len(part) for part in parts)
    return math.exp(total / len(stretches))
