"""Compile what is not attention: norms, MLPs and rotary embeddings, with torch.compile.

In eager mode these read and write memory once per tiny operation, which at 8k tokens is about a
third of the time outside attention. Each *kind* of module is compiled once and serves all layers,
so this costs seconds, where compiling a whole model costs a minute; and since caches and masks stay
outside, nothing is compiled again when a cache grows.

The one thing to know: only instances of the given model change; classes and other models do not.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

SHORT = 64  # rows; below, the guards of a compiled call cost more than it saves
_ROTARY = "apply_rotary_pos_emb"


def compile_rest(model: nn.Module) -> Callable[[], None]:
    """Compile the norms, MLPs and rotary embeddings of a model, in place.

    Nothing is compiled yet when this returns: torch does that at the first long input.

    Args:
        model: A transformers model on one device.

    Returns:
        A function that undoes it.

    Raises:
        RuntimeError: There is nothing in the model that this knows how to compile.
    """
    changed: list[nn.Module] = []
    compiled: dict[Any, Callable] = {}
    for name, module in model.named_modules():
        forward = type(module).forward
        if _is_norm(module) or _is_mlp(name, module):
            if forward not in compiled:
                compiled[forward] = _when_long(forward)
            module.forward = MethodType(compiled[forward], module)
        elif _ROTARY in getattr(getattr(forward, "__code__", None), "co_names", ()):
            if forward not in compiled:
                compiled[forward] = _with_rotary(forward)
            module.forward = MethodType(compiled[forward], module)
        else:
            continue
        changed.append(module)
    if not changed:
        raise RuntimeError(
            f"compile=True found no norm, MLP or rotary embedding in {type(model).__name__}; use "
            "compile=False"
        )

    def undo() -> None:
        for module in changed:
            module.__dict__.pop("forward", None)

    return undo


def _is_norm(module: nn.Module) -> bool:
    return type(module).__name__.endswith(("RMSNorm", "LayerNorm")) and not any(module.children())


def _is_mlp(name: str, module: nn.Module) -> bool:
    """A gated or plain MLP: linear layers and an activation, nothing that routes or drops."""
    linears = [child for child in module.children() if isinstance(child, nn.Linear)]
    plain = all(not any(child.children()) for child in module.children())
    return name.rsplit(".", 1)[-1] in ("mlp", "feed_forward", "ffn") and len(linears) >= 2 and plain


def _when_long(forward: Callable) -> Callable:
    """`forward(self, x)` compiled, but only used for long x `[..., L, C]`."""
    fast = torch.compile(forward, dynamic=True)

    def call(self: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        short = x.dim() < 2 or x.shape[-2] < SHORT or torch.is_grad_enabled()
        return (forward if short else fast)(self, x, *args, **kwargs)

    return call


def _with_rotary(forward: Callable) -> Callable:
    """A copy of an attention layer's `forward` in which the rotary function is compiled.

    The layer finds that function among its module's globals; the copy gets globals of its own, so
    other models that share the module keep theirs.
    """
    rotary = forward.__globals__[_ROTARY]
    fast = torch.compile(rotary, dynamic=True)

    def call(q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Any:
        short = q.shape[-2] < SHORT or torch.is_grad_enabled()
        return (rotary if short else fast)(q, k, *args, **kwargs)

    copy = FunctionType(
        forward.__code__,
        {**forward.__globals__, _ROTARY: call},
        forward.__name__,
        forward.__defaults__,
        forward.__closure__,
    )
    copy.__kwdefaults__ = forward.__kwdefaults__
    return copy
