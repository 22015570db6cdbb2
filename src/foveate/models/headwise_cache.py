"""HeadwiseCache: a transformers cache in which every head keeps a span of its own.

    plan = MoAPlan.load("plan.json")
    with foveate.accelerate(model, profile=plan):
        cache = HeadwiseCache(model, plan, length=8192)          # prompt and answer together
        model.generate(**inputs, past_key_values=cache, max_new_tokens=512)

Each layer with rules has one store of fixed size (`models/rings.py`); layers without rules keep the
cache that the model would give them. Prompts of any length, batches padded on the left, further
turns, sampling and beams work; what was overwritten cannot come back, so `crop` is refused.

The one thing to know: `update` hands new keys and values on as they are, with the layer's cache
attached to the keys; foveate's attention function finds it there, attends to what is held, and
writes (only it knows which tokens are padding). Another attention function would not, so the next
`update` stops with a reason.
Source: MoA (arXiv 2406.14909v3), §4.4.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from .headwise_layer import HeadwiseLayer
from .rings import CODES


class HeadwiseCache(Cache):
    """Keys and values in ring buffers, one size for each kv head.

    Args:
        model: The model, or its config (then a plan's fingerprint is not compared).
        plan: A `foveate.tune.MoAPlan`, or the path of one.
        length: N, tokens that spans are made for: prompt and answer together, padding not counted.
            Beyond it windows keep their sizes.
        codes: "float" keeps what the model writes; "int8" takes a byte for each number.

    Raises:
        ValueError: The plan belongs to another model, gives rules to a layer with a window of its
            own, or length or codes are out of range.
        TypeError: plan is none.
    """

    def __init__(self, model: Any, plan: Any, length: int, *, codes: str = "float") -> None:
        if codes not in CODES:
            raise ValueError(f'codes is "{codes}"; expected one of {", ".join(CODES)}')
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise ValueError(
                f"length is {length!r}; expected the tokens of prompt and answer together"
            )
        plan, config = _plan(plan, model), getattr(model, "config", model)
        self.length, self.codes, self._warned = length, codes, False
        layers = DynamicCache(config=config).layers
        for number, room in enumerate(plan.cache_sizes(length, 0, _kv_heads(plan, config, layers))):
            if room is None:
                continue
            if type(layers[number]) is not DynamicLayer:
                raise ValueError(
                    f"the plan has rules for layer {number}, whose cache is a "
                    f"{type(layers[number]).__name__}; expected rules only for layers that see "
                    "everything (null in the plan leaves a layer as it is)"
                )
            layers[number] = HeadwiseLayer(room, plan.sink, length, codes)
        super().__init__(layers=layers)

    @property
    def nbytes(self) -> int:
        """Bytes of all layers; 0 before the first tokens."""
        return sum(
            layer.nbytes
            if isinstance(layer, HeadwiseLayer)
            else sum(x.numel() * x.element_size() for x in (layer.keys, layer.values))
            for layer in self.layers
            if layer.is_initialized
        )

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """As of any cache; see the top of this file for what is handed on."""
        after = self.layers[layer_idx].get_seq_length() + key_states.shape[2]
        if after > self.length and not self._warned:
            self._warned = True
            warnings.warn(
                f"HeadwiseCache was made for {self.length} tokens and now takes token {after}; "
                "windows keep their sizes. Make it with the length of prompt and answer together "
                "for larger ones",
                stacklevel=2,
            )
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)


def _plan(plan: Any, model: Any) -> Any:
    from ..tune.loading import load
    from ..tune.moa.plan import MoAPlan

    plan = load(plan) if isinstance(plan, str | os.PathLike) else plan
    if not isinstance(plan, MoAPlan):
        raise TypeError(f"plan is {type(plan).__name__}; expected a MoAPlan or the path of one")
    if hasattr(model, "config"):
        plan.check(model)
    return plan


def _kv_heads(plan: Any, config: Any, layers: list[Any]) -> int | None:
    """What `cache_sizes` has to be told: kv heads, if the plan names query heads."""
    text = config.get_text_config(decoder=True)
    heads = text.num_attention_heads
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    if len(plan.alphas) != len(layers) or plan.heads not in (heads, kv_heads):
        raise ValueError(
            f"the plan has {len(plan.alphas)} layers of {plan.heads} heads; the model "
            f"{len(layers)} of {heads} (and {kv_heads} of keys)"
        )
    return None if plan.heads == kv_heads else kv_heads
