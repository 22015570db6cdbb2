"""Spans of heads as masks for torch's SDPA: how a plan is evaluated on a GPU.

The one thing to know: the rule is that of a ring buffer, `MoA(rule="tokens")`, and tests hold both
equal; on a CPU foveate's own kernels do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from foveate.models import accelerate
from foveate.tune.moa.plan import MoAPlan

MASKED = "spans as masks"
ROWS = 2048  # queries at once: what a window hides from all of them is not computed


@contextmanager
def attending(model: Any, plan: MoAPlan | None, length: int) -> Iterator[None]:
    """The model, each head with the rule of its ring buffer for texts of `length` tokens."""
    if model.device.type == "cpu":
        select = "dense" if plan is None else plan.at(length, rule="tokens")
        with accelerate(model, select=select, precision="native"):
            yield
        return
    with by_masks(model, plan, length):
        yield


@contextmanager
def by_masks(model: Any, plan: MoAPlan | None, length: int) -> Iterator[None]:
    """The same with masks, wherever the model is."""
    before = model.config._attn_implementation
    sizes = None if plan is None else plan.cache_sizes(length, 0)
    AttentionInterface.register(MASKED, masked(sizes, 0 if plan is None else plan.sink))
    AttentionMaskInterface.register(MASKED, lambda *args, **kwargs: None)
    model.set_attn_implementation(MASKED)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def masked(
    sizes: list[list[int] | None] | None, sink: int
) -> Callable[..., tuple[torch.Tensor, None]]:
    """Attention for transformers with rules written down as masks.

    Args:
        sizes: Keys that each head of each layer keeps, `[layers][heads]`; None keeps all.
        sink: First keys, always visible; the others are the most recent ones.
    """
    masks: dict[tuple[int, int, int], torch.Tensor] = {}
    groups: dict[int, list[tuple[int, torch.Tensor, torch.Tensor]]] = {}

    def mask_of(room: int, at: tuple[int, int], low: int, like: torch.Tensor) -> torch.Tensor:
        """0 where queries of a chunk see a key and −∞ elsewhere, `[rows, keys]`."""
        key = (room, *at)
        if key not in masks:
            i = torch.arange(*at, device=like.device)[:, None]
            j = torch.arange(at[1], device=like.device)
            j = torch.cat([j[:sink], j[low:]])
            seen = (j <= i) & ((j < sink) | (j > i - (room - sink)))
            wide = -(-len(j) // 16) * 16  # kernels want aligned rows, and copy others at every call
            mask = like.new_full((len(i), wide), float("-inf"))[:, : len(j)]
            masks[key] = mask.masked_fill_(seen, 0.0)
        return masks[key]

    def group_of(layer: int, query: torch.Tensor, group: int) -> list[Any]:
        """For each size the key heads that have it, and their query heads."""
        if layer not in groups:
            rooms, found = sizes[layer], []
            for room in dict.fromkeys(rooms):
                heads = [h for h, c in enumerate(rooms) if c == room]
                asking = [h * group + g for h in heads for g in range(group)]
                found.append(
                    (room, *(torch.tensor(x, device=query.device) for x in (heads, asking)))
                )
            groups[layer] = found
        return groups[layer]

    def attend(query, key, value, room, scaling):
        group, tokens = query.shape[1] // key.shape[1], query.shape[2]
        key, value = (x.repeat_interleave(group, 1) for x in (key, value))
        if room >= tokens:
            return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        parts = []
        for first in range(0, tokens, ROWS):
            last = min(first + ROWS, tokens)
            low = max(sink, first - (room - sink) + 1)  # first key beside the sink that is seen
            near = (torch.cat([x[:, :, :sink], x[:, :, low:last]], 2) for x in (key, value))
            mask = mask_of(room, (first, last), low, query)
            rows = query[:, :, first:last]
            parts.append(scaled_dot_product_attention(rows, *near, attn_mask=mask, scale=scaling))
        return torch.cat(parts, 2)

    def forward(module, query, key, value, attention_mask, scaling=None, **kwargs):
        if sizes is None:
            out = attend(query, key, value, query.shape[2], scaling)
            return out.transpose(1, 2).contiguous(), None
        found = group_of(module.layer_idx, query, query.shape[1] // key.shape[1])
        if len(found) == 1:
            out = attend(query, key, value, found[0][0], scaling)
            return out.transpose(1, 2).contiguous(), None
        out = torch.empty_like(query)
        for room, heads, asking in found:
            some = (
                x.index_select(1, at) for x, at in ((query, asking), (key, heads), (value, heads))
            )
            out.index_copy_(1, asking, attend(*some, room, scaling))
        return out.transpose(1, 2).contiguous(), None

    return forward
