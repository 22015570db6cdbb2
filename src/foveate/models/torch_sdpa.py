"""Serve torch's `scaled_dot_product_attention` with foveate, inside a `with` block.

    with foveate.models.sdpa(precision="int8"):
        image = pipeline(prompt)

The one thing to know: torch aligns `is_causal` at the start, foveate at the end. Both agree when Lq
== Lk; otherwise keys that no query sees are cut off (Lk > Lq) or the rule becomes a mask (Lk < Lq).
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_TORCHS = F.scaled_dot_product_attention
_active = threading.local()  # .blocks: the blocks of this thread, innermost last
_lock = threading.Lock()
_open_blocks = 0


@contextmanager
def sdpa(
    *,
    select: Any = "dense",
    precision: Any = "auto",
    backend: str = "auto",
    strict: bool = True,
) -> Iterator[None]:
    """Serve every call of `torch.nn.functional.scaled_dot_product_attention` inside the block.

    Holds for the current thread. Blocks may be nested; the inner one wins.

    Args:
        select: A selection or its name, as in `foveate.attention`.
        precision: A precision or its name.
        backend: A backend's name or "auto".
        strict: Raise for calls that foveate cannot serve. False hands them to torch, and warns with
            the reason once per reason.

    Raises:
        ValueError: Inside the block, a call uses dropout, gradients or shapes that cannot be
            served.
    """
    block = _Block({"select": select, "precision": precision, "backend": backend}, strict)
    blocks = _active.__dict__.setdefault("blocks", [])
    blocks.append(block)
    _patch(1)
    try:
        with _Mode(block):
            yield
    finally:
        _patch(-1)
        blocks.remove(block)


def _patch(step: int) -> None:
    """Replace torch's function while any thread has a block open.

    The mode below sees calls by any name, but not those from inside torch's own functions (such as
    multi_head_attention_forward); those find this replacement.
    """
    global _open_blocks
    with _lock:
        _open_blocks += step
        F.scaled_dot_product_attention = _replacement if _open_blocks else _TORCHS


def _replacement(*args: Any, **kwargs: Any) -> Tensor:
    """torch's function, or the innermost block of this thread."""
    blocks = getattr(_active, "blocks", None)
    return blocks[-1].serve(*args, **kwargs) if blocks else _TORCHS(*args, **kwargs)


class _Mode(TorchFunctionMode):
    def __init__(self, block: _Block) -> None:
        super().__init__()
        self.block = block

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        serve = self.block.serve if func is _TORCHS else func
        return serve(*args, **(kwargs or {}))


class _Block:
    def __init__(self, choice: dict[str, Any], strict: bool) -> None:
        self.choice, self.strict, self.told = choice, strict, set()

    def serve(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        reason = _reason(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa)
        if reason is not None:
            if self.strict:
                raise ValueError(
                    f"foveate cannot serve this scaled_dot_product_attention: {reason}; "
                    "sdpa(strict=False) leaves such calls to torch"
                )
            if reason not in self.told:
                self.told.add(reason)
                warnings.warn(f"left to torch: {reason}", stacklevel=4)
            with torch._C.DisableTorchFunction():
                return _TORCHS(
                    query,
                    key,
                    value,
                    attn_mask,
                    dropout_p,
                    is_causal,
                    scale=scale,
                    enable_gqa=enable_gqa,
                )
        return _attend(query, key, value, attn_mask, is_causal, scale, self.choice)


def _reason(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, causal: bool, gqa: bool
) -> str | None:
    """Why a call cannot be served, or None."""
    if dropout > 0:
        return f"dropout_p={dropout}, expected 0 (inference only)"
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return "inputs require grad; use torch.no_grad()"
    if not 3 <= q.dim() <= 4 or not q.dim() == k.dim() == v.dim():
        return f"query has {q.dim()} dimensions, expected [B, H, L, D] or [H, L, D]"
    if mask is not None and mask.requires_grad and torch.is_grad_enabled():
        return "attn_mask requires grad; use torch.no_grad()"
    if mask is not None and causal:
        return "both attn_mask and is_causal are given"
    if not gqa and q.shape[-3] != k.shape[-3]:
        return f"{q.shape[-3]} query heads and {k.shape[-3]} key heads without enable_gqa=True"
    return None


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    causal: bool,
    scale: float | None,
    choice: dict[str, Any],
) -> Tensor:
    """torch's call in foveate's words."""
    from foveate import attention

    flat = q.dim() == 3
    if flat:
        q, k, v = q[None], k[None], v[None]
    q_length, k_length = q.shape[2], k.shape[2]
    if causal and k_length > q_length:
        k, v = k[:, :, :q_length], v[:, :, :q_length]
    elif causal and k_length < q_length:
        mask, causal = (
            torch.ones(q_length, k_length, dtype=torch.bool, device=q.device).tril(),
            False,
        )
    if mask is not None and mask.dim() < 4:
        mask = mask[(None,) * (4 - mask.dim())]
    out = attention(q, k, v, causal=causal, scale=scale, mask=mask, **choice)
    return out[0] if flat else out
