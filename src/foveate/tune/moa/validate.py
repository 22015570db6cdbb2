"""Validation: how well a model still gives its own answers under a plan, on other text.

The one thing to know: the loss is that of the answer's tokens alone, with the answer of the dense
model given; dense attention has the least possible one, and every plan is measured on equal items.
Source: MoA (arXiv 2406.14909v3), §4.3: the plan with the least loss at a length not profiled.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from foveate.models import accelerate

from .calibrate import Item
from .plan import MoAPlan


@torch.inference_mode()
def answer_loss(model: Any, item: Item, plan: MoAPlan | None) -> float:
    """Mean loss of an answer.

    Args:
        model: A transformers model in eval mode.
        item: A text and its answer.
        plan: Rules to attend by; None attends densely.
    """
    length = item.tokens.shape[1] - 1
    select = "dense" if plan is None else plan.at(length)
    at = item.answer[1:].nonzero()[:, 0]
    with accelerate(model, select=select, precision="native"):
        hidden = model.base_model(input_ids=item.tokens[:, :-1], use_cache=False)
    logits = model.get_output_embeddings()(hidden.last_hidden_state[0, at]).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    return float(F.cross_entropy(logits, item.tokens[0, at + 1]))
