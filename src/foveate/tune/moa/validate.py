"""Validation: how well a model still gives its own answers under a plan, on other text.

The one thing to know: the loss is that of the answer's tokens alone, with the answer of the dense
model given; dense attention has the least possible one, and every plan is measured on equal items.
Source: MoA (arXiv 2406.14909v3), §4.3: the plan with the least loss at a length not profiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from foveate.models import accelerate

from ..fingerprint import fingerprint
from ..store import Store
from .calibrate import Item, Record
from .items import item_of, name_of
from .plan import MoAPlan
from .settings import Settings

Attending = Callable[[Any, MoAPlan | None, int], AbstractContextManager]


@torch.inference_mode()
def answer_loss(
    model: Any, item: Item, plan: MoAPlan | None, attending: Attending | None = None
) -> float:
    """Mean loss of an answer.

    Args:
        model: A transformers model in eval mode.
        item: A text and its answer.
        plan: Rules to attend by; None attends densely.
        attending: Makes the model attend by a plan at a length; None is `by_engine`.
    """
    length, attending = item.tokens.shape[1] - 1, attending or by_engine
    at = item.answer[1:].nonzero()[:, 0]
    tokens = item.tokens.to(model.device)
    with attending(model, plan, length):
        hidden = model.base_model(input_ids=tokens[:, :-1], use_cache=False)
    logits = model.get_output_embeddings()(hidden.last_hidden_state[0, at]).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap is not None:
        logits = torch.tanh(logits / cap) * cap
    return float(F.cross_entropy(logits, tokens[0, at + 1]))


def by_engine(model: Any, plan: MoAPlan | None, length: int) -> AbstractContextManager:
    """The model with foveate's attention, each head with its rule for a text of some length.

    Args:
        model: A transformers model.
        plan: Rules to attend by; None attends densely.
        length: N.
    """
    select = "dense" if plan is None else plan.at(length)
    return accelerate(model, select=select, precision="native")


def validated(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    found: Sequence[MoAPlan],
    settings: Settings,
    store: Store,
    tick: Callable[[str], None],
    attending: Attending | None = None,
) -> MoAPlan:
    """The plan of the front with the least loss on other items; its notes say what each reached.

    Without items the front's first one, which loses least at the longest length.

    Args:
        model: A transformers model in eval mode.
        tokenizer: Its tokenizer.
        source: A long text, or the records of a data set.
        found: The front; a part of it is tried if it has more than `settings.plans`.
        settings: How.
        store: Where answers and losses are kept.
        tick: Called with a short text after each step.
        attending: As in `answer_loss`.
    """
    length = settings.validation or max(settings.lengths)
    tried = _spread(found, settings.plans)
    known = fingerprint(model)
    heads = known["heads"] if settings.per_query else known["kv_heads"]
    uniform = MoAPlan.uniform(known["layers"], heads, settings.density)
    ways: dict[str, MoAPlan | None] = {"dense": None, "uniform": uniform}
    ways |= {f"plan {i + 1}": plan for i, plan in enumerate(tried)}
    losses: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(settings.items):
        item = item_of(model, tokenizer, source, "validation", length, number, settings, store)
        item_name = name_of(source, "validation", length, number, settings)
        tick(f"validation at {length}, answer {number + 1}")
        for name, plan in ways.items():
            key = f"loss/{item_name}/{_rules(plan)}"
            done = store.get(key)
            if done is None:
                loss = answer_loss(model, item, plan, attending)
                done = {"loss": torch.tensor(loss, dtype=torch.float64)}
                store.put(key, done)
            losses[name].append(float(done["loss"]))
            tick(f"validation at {length}, {name}")
    means = {name: sum(x) / len(x) if x else float("nan") for name, x in losses.items()}
    best = min(range(len(tried)), key=lambda i: means[f"plan {i + 1}"] if settings.items else i)
    reached = {
        "length": length,
        "items": settings.items,
        "chosen": f"plan {best + 1}",
        "loss": means,
    }
    return replace(tried[best], notes={**tried[best].notes, "validation": reached})


def _rules(plan: MoAPlan | None) -> str:
    """A name for a plan's rules; equal rules share it."""
    if plan is None:
        return "dense"
    text = repr((plan.alphas, plan.betas, plan.sink, plan.block))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spread(found: Sequence[MoAPlan], most: int) -> Sequence[MoAPlan]:
    """At most so many of a list, both ends included."""
    if len(found) <= most:
        return found
    if most == 1:
        return found[:1]
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]
