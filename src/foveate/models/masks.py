"""Masks for transformers: say "causal" and "padding" instead of writing Lq × Lk of them down.

transformers asks a mask function for a mask of `[B, 1, Lq, Lk]` before the first layer. Nearly
always it is causal, perhaps with a window, padding or an unfilled cache, and a kernel that knows
these rules skips what they hide. So we answer with None (plainly causal, aligned at the end) or
with a `RuleMask`, which has the shape of the mask but holds only the rules.

The one thing to know: a RuleMask is still right when a model computes with it; the first operation
writes the real mask down. Only masks made of other rules are written down from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import masking_utils as hf


class RuleMask(torch.Tensor):
    """A bool mask `[B, 1, Lq, Lk]` given by rules; True means attend.

    With i' = i + filled − Lq, key j is visible to query i when j < filled, j ≤ i' (if causal),
    i' − j < window (if there is one) and padding[b, j].
    """

    causal: bool
    window: int | None
    filled: int  # keys from here on are not written yet (static caches); Lk if all are
    padding: Tensor | None  # bool [B, Lk], True = a real token

    @staticmethod
    def __new__(
        cls,
        shape: tuple[int, int, int, int],
        device: torch.device,
        *,
        causal: bool,
        filled: int,
        window: int | None = None,
        padding: Tensor | None = None,
    ) -> RuleMask:
        mask = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=torch.bool, device=device)
        mask.causal, mask.filled, mask.window, mask.padding = causal, filled, window, padding
        return mask

    def dense(self) -> Tensor:
        """Write the mask down, bool `[B, 1, Lq, Lk]`."""
        batch, _, q_length, k_length = self.shape
        query = torch.arange(q_length, device=self.device)[:, None] + (self.filled - q_length)
        key = torch.arange(k_length, device=self.device)
        seen = key < self.filled
        if self.causal:
            seen = seen & (key <= query)
        if self.window is not None:
            seen = seen & (query - key < self.window)
        seen = seen.expand(1, 1, q_length, k_length)
        if self.padding is not None:
            seen = seen & self.padding[:, None, None, :]
        return seen.expand(batch, 1, q_length, k_length)

    def __repr__(self) -> str:
        padding = None if self.padding is None else tuple(self.padding.shape)
        return (
            f"RuleMask({tuple(self.shape)}, causal={self.causal}, filled={self.filled}, "
            f"window={self.window}, padding={padding})"
        )

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        def written(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(written(item) for item in value)
            return value.dense() if isinstance(value, RuleMask) else value

        return func(*written(tuple(args)), **{k: written(v) for k, v in (kwargs or {}).items()})


def make_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable = hf.causal_mask_function,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    device: torch.device | str = "cpu",
    **kwargs: Any,
) -> Tensor | None:
    """The mask function that goes with our attention in transformers' AttentionMaskInterface.

    Args:
        batch_size: B.
        q_length: Lq.
        kv_length: Lk, the length of the keys that attention will see (a static cache: its
            capacity).
        q_offset: Position of the first query.
        kv_offset: Position of the first key.
        mask_function: transformers' rule, `(b, h, q, k) -> bool`.
        attention_mask: Padding, bool or 0/1, `[B, positions]`; True is a real token.
        local_size: Size of a sliding window or of a chunk, if the rule has one.
        allow_is_causal_skip: Whether the rule is plain enough to be left to the kernel.
        allow_is_bidirectional_skip: The same for a rule without causality.
        device: Where the mask lives.
        **kwargs: Passed on to transformers' own mask function if the mask has to be written down.

    Returns:
        None (every query sees all keys up to its own position, or all if the layer is not causal),
        a `RuleMask`, or a bool mask `[B, 1, Lq, Lk]`.
    """
    plain = _rule(mask_function, local_size, kv_length, kwargs, allow_is_causal_skip)
    if plain is None and allow_is_bidirectional_skip and local_size is None:
        plain = "all" if mask_function is hf.bidirectional_mask_function else None
    causal = plain != "all"
    skip = allow_is_causal_skip if causal else allow_is_bidirectional_skip
    tracing = _tracing(attention_mask, q_offset)
    sized = tracing and _plain_while_tracing(plain, skip, q_offset, attention_mask)
    if sized and (not causal or q_offset + q_length - kv_offset == kv_length):
        return None
    filled = int(q_offset) + q_length - kv_offset if causal and not tracing else kv_length
    if plain is None or tracing or filled > kv_length:  # > : queries run ahead of the keys
        return hf.sdpa_mask(
            batch_size=batch_size,
            q_length=q_length,
            kv_length=kv_length,
            q_offset=q_offset,
            kv_offset=kv_offset,
            mask_function=mask_function,
            attention_mask=attention_mask,
            local_size=local_size,
            # sdpa's skips align at the start; ours are decided below
            allow_is_causal_skip=False,
            allow_is_bidirectional_skip=False,
            device=device,
            **kwargs,
        )
    padding = _padding(attention_mask, kv_offset, filled, kv_length)
    window = local_size if plain == "window" else None
    if skip and padding is None and window is None and filled == kv_length:
        return None
    return RuleMask(
        (batch_size, 1, q_length, kv_length),
        torch.device(device),
        causal=causal,
        filled=filled,
        window=window,
        padding=padding,
    )


def _rule(
    rule: Callable, local_size: int | None, kv_length: int, kwargs: dict, allowed: bool
) -> str | None:
    """ "causal", "window", or None if the rule is anything else."""
    if local_size is None:
        # this very function: nothing was joined to it, so it is plain even where transformers wants
        # a mask (static caches while decoding); a RuleMask is one
        return "causal" if rule is hf.causal_mask_function else None
    if not allowed or kwargs.get("use_vmap"):
        return None
    # windows and chunks are closures that cannot be told apart by name, so ask the rule about the
    # three keys where the two differ: a query at 2·size + 1 sees size + 2 in a window, not in
    # chunks
    far = 2 * local_size + 1
    keys = torch.tensor([far - local_size, far - local_size + 1, far, far + 1])
    try:
        seen = rule(
            torch.zeros_like(keys), torch.zeros_like(keys), torch.full_like(keys, far), keys
        )
    except (
        IndexError,
        RuntimeError,
    ):  # a rule that looks positions up in a table is not a plain one
        return None
    # size 2 or less: windows and chunks agree on these keys
    if local_size > 2 and seen.tolist() == [False, True, True, False]:
        return "window" if kv_length > local_size else "causal"
    return None


def _padding(mask: Tensor | None, kv_offset: int, filled: int, kv_length: int) -> Tensor | None:
    """The part of `[B, positions]` that belongs to the keys, `[B, Lk]`; None if it hides none."""
    if mask is None:
        return None
    mask = hf.prepare_padding_mask(mask, kv_length, kv_offset)[:, kv_offset : kv_offset + kv_length]
    mask = mask.to(torch.bool)
    return None if bool(mask[:, :filled].all()) else mask


def _plain_while_tracing(plain: str | None, skip: bool, q_offset: Any, padding: Any) -> bool:
    """Whether sizes alone say that no mask is needed; values cannot be read inside a compiler."""
    return skip and plain in ("causal", "all") and padding is None and isinstance(q_offset, int)


def _tracing(*values: Any) -> bool:
    """Inside torch.compile or export: there, tensor values cannot be read."""
    return torch.compiler.is_compiling() or any(
        isinstance(value, Tensor) and hf.is_tracing(value) for value in values
    )
