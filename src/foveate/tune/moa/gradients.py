"""The gradient of a model's loss with respect to every layer's attention output.

The one thing to know: layers are computed again on the way back (where the model can), so only one
layer's tensors are in memory at a time, and weights get no gradients at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..capture import _narrowed

_NAME = "foveate#gradients"  # no choice a user could make: "#" is in no name
Visit = Callable[[int, Tensor, Tensor, Tensor, Tensor, float], None]


def backward(
    model: Any, tokens: Tensor, answer: Tensor, visit: Visit, tick: Callable[[], None] | None = None
) -> float:
    """Let a model read, differentiate its loss on the answer, and hand over every layer.

    Args:
        model: A transformers decoder whose attention goes through AttentionInterface.
        tokens: int64 `[1, L + 1]`; the last token is only predicted.
        answer: Bool `[L + 1]`, True for the tokens whose loss counts.
        visit: Called for each layer, the last one first, with (layer, q `[Hq, L, D]`, k
            `[Hk, L, D]`, v, dO `[Hq, L, Dv]`, scale), in float32. Layers with a window of their
            own are passed over.
        tick: Called after each layer.

    Returns:
        The mean loss over the answer.

    Raises:
        ValueError: No token of the answer can be predicted, or no layer was seen.
    """
    tokens, at = tokens.to(model.device), answer[1:].nonzero()[:, 0].to(model.device)
    if not len(at):
        raise ValueError("answer has no True after the first token; expected tokens to predict")
    seen = 0

    def handed(layer: int, scale: float, q: Tensor, k: Tensor, v: Tensor, d_out: Tensor) -> None:
        nonlocal seen
        seen += 1
        with torch.no_grad():
            d_out = d_out[0].transpose(0, 1)
            visit(layer, *(x.float() for x in (q[0], k[0], v[0], d_out)), scale)
        if tick is not None:
            tick()

    with _differentiable(model, handed), torch.enable_grad():
        hidden = model.base_model(input_ids=tokens[:, :-1], use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[0, at]).float()  # [answer, vocabulary]
        cap = getattr(model.config, "final_logit_softcapping", None)
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        loss = F.cross_entropy(logits, tokens[0, at + 1])
        loss.backward()
    if not seen:
        raise ValueError(
            f"no layer of {type(model).__name__} attends to everything through "
            "AttentionInterface; choose a model that does"
        )
    return float(loss.detach())


@contextmanager
def _differentiable(model: Any, handed: Callable[..., None]) -> Iterator[None]:
    """The model with attention that reports gradients, frozen weights and little memory."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def watching(
        module: Any, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        out, weights = sdpa_attention_forward(module, query, key, value, *args, **kwargs)
        if out.requires_grad and not _narrowed(kwargs, key.shape[2]):
            scale = float(kwargs.get("scaling") or query.shape[-1] ** -0.5)
            kept = [x.detach() for x in (query, key, value)]
            layer = int(module.layer_idx)
            out.register_hook(lambda d_out: handed(layer, scale, *kept, d_out))
        return out, weights

    before = model.config._attn_implementation
    frozen = [p for p in model.parameters() if p.requires_grad]
    embedding = model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda module, given, out: out.requires_grad_())
    switched = _checkpointing(model)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    AttentionInterface.register(_NAME, watching)
    try:
        for parameter in frozen:
            parameter.requires_grad_(False)
        model.config._attn_implementation_internal = _NAME
        yield
    finally:
        model.config._attn_implementation_internal = before
        for parameter in frozen:
            parameter.requires_grad_(True)
        for module in switched:
            module.training = False
        if switched:
            _switch(model, "disable")
        hook.remove()
        AttentionInterface._global_mapping.pop(_NAME, None)
        AttentionMaskInterface._global_mapping.pop(_NAME, None)


def _checkpointing(model: Any) -> list[Any]:
    """Make layers forget what they can compute again; the modules whose mode that took."""
    if not getattr(model, "supports_gradient_checkpointing", False):
        return []
    # reentrant: the first pass is without gradients, so that q, k, v are not kept by our hooks
    _switch(model, "enable", {"use_reentrant": True})
    switched = [m for m in model.modules() if getattr(m, "gradient_checkpointing", False)]
    switched = [m for m in switched if not m.training]
    for module in switched:
        module.training = True  # of the layer alone: dropout inside stays off
    return switched


def _switch(model: Any, verb: str, *args: Any) -> None:
    """The method under its new name, or under its old one."""
    new = getattr(model, f"activation_checkpointing_{verb}", None)
    (new or getattr(model, f"gradient_checkpointing_{verb}"))(*args)
