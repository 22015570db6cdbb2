"""Real queries, keys and values: a model reads, and each layer shows what it attends with.

The one thing to know: the model itself attends densely, so what one layer shows does not depend on
what is tried with another; and only one layer is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_NAME = "foveate#capture"  # no choice a user could make: "#" is in no name


@dataclass(frozen=True, eq=False)
class Captured:
    """What one layer attends with, after position embedding, on the CPU.

    Args:
        layer: Number of the layer.
        q: Queries, float32 `[1, Hq, L, D]`.
        k: Keys, float32 `[1, Hk, L, D]`.
        v: Values, float32 `[1, Hk, L, Dv]`.
        scale: Factor of the scores.
        causal: Whether a query sees only itself and earlier keys.
    """

    layer: int
    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    causal: bool


@torch.inference_mode()
def capture(model: Any, tokens: Tensor, visit: Callable[[Captured], None]) -> int:
    """Let a model read, and hand over what each layer attends with, in order.

    Layers that the model itself narrows with a window are passed over: they stay as they are.

    Args:
        model: A transformers model whose attention goes through AttentionInterface.
        tokens: int64 `[1, L]`.
        visit: Called once for each layer while the model is inside it.

    Returns:
        How many layers were handed over.

    Raises:
        ValueError: tokens has another shape, or no layer took its attention from there.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    if tokens.dim() != 2 or tokens.shape[0] != 1 or tokens.shape[1] < 2:
        raise ValueError(f"tokens has shape {list(tokens.shape)}; expected [1, L] with L >= 2")
    seen = 0

    def watching(
        module: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        nonlocal seen
        if not _narrowed(kwargs, key.shape[2]):
            seen += 1
            causal = kwargs.get("is_causal")
            visit(
                Captured(
                    layer=int(getattr(module, "layer_idx", seen - 1)),
                    q=query.to("cpu", torch.float32),
                    k=key.to("cpu", torch.float32),
                    v=value.to("cpu", torch.float32),
                    scale=float(kwargs.get("scaling") or query.shape[-1] ** -0.5),
                    causal=bool(getattr(module, "is_causal", True) if causal is None else causal),
                )
            )
        return sdpa_attention_forward(module, query, key, value, *args, **kwargs)

    before = model.config._attn_implementation
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    AttentionInterface.register(_NAME, watching)
    try:
        model.config._attn_implementation_internal = _NAME
        model(input_ids=tokens, use_cache=False, logits_to_keep=1)
    finally:
        model.config._attn_implementation_internal = before
        AttentionInterface._global_mapping.pop(_NAME, None)
        AttentionMaskInterface._global_mapping.pop(_NAME, None)
    if not seen:
        raise ValueError(
            f"no layer of {type(model).__name__} attends to everything through "
            "AttentionInterface; choose a model that does"
        )
    return seen


def full_layers(config: Any) -> list[int]:
    """Numbers of the layers of a model that have no window of their own."""
    config = config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return [number for number, kind in enumerate(kinds) if kind == "full_attention"]


def _narrowed(kwargs: dict[str, Any], length: int) -> bool:
    window = kwargs.get("sliding_window")
    return window is not None and window < length
