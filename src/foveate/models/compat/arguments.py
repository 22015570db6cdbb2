"""What the names of other packages share: tensor orders, per-head values, arguments to refuse."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...attn import check


def heads_first(layout: object, **tensors: Any) -> list[Tensor]:
    """Tensors as `[B, H, L, D]` views of what came in the order `layout`.

    Args:
        layout: "HND" for `[B, H, L, D]`, "NHD" for `[B, L, H, D]`.
        tensors: By name, for messages.

    Raises:
        TypeError, ValueError: Not tensors of four dimensions, or another layout.
    """
    if layout not in ("HND", "NHD"):
        raise ValueError(f'tensor_layout is {layout!r}; expected "HND" or "NHD"')
    check.check_tensors(**tensors)
    for name, x in tensors.items():
        if x.dim() != 4:
            letters = "[B, H, L, D]" if layout == "HND" else "[B, L, H, D]"
            raise ValueError(
                f"{name} has {x.dim()} dimensions, {list(x.shape)}; expected {letters}"
            )
    return [x.transpose(1, 2) if layout == "NHD" else x for x in tensors.values()]


def as_came(out: Tensor, layout: str) -> Tensor:
    """`out` `[B, H, L, Dv]` in the order that its inputs had."""
    return out.transpose(1, 2) if layout == "NHD" else out


def refuse(function: str, **arguments: tuple[object, object, str]) -> None:
    """Raise ValueError for arguments that are not at their only supported value.

    Args:
        function: Its name, for the message.
        arguments: Name = (value, the supported value, the way out).
    """
    for name, (value, only, way_out) in arguments.items():
        if value is not only and (isinstance(value, Tensor) or value != only):
            came = type(value).__name__ if isinstance(value, Tensor) else repr(value)
            raise ValueError(f"{function}: {name} is {came}; expected {only!r} ({way_out})")


def per_head(
    name: str, value: Any, low: float, high: float, least: float | None = None
) -> float | tuple[float, ...]:
    """A number, or one for each head from a list or a tensor `[H]`, as floats.

    Args:
        name: For the message.
        value: A number, a sequence or a tensor.
        low: Smallest value that is allowed.
        high: Largest.
        least: What smaller values stand for: their nearest legal meaning.

    Raises:
        ValueError: A value is not a number from low to high.
    """
    many = isinstance(value, Tensor | list | tuple) and not (
        isinstance(value, Tensor) and value.dim() == 0
    )
    values = torch.as_tensor(value, dtype=torch.float64, device="cpu").flatten().tolist()
    for one in values:
        if math.isnan(one) or not low <= one <= high:
            raise ValueError(f"{name} is {value!r}; expected numbers from {low:g} to {high:g}")
    if least is not None:
        values = [max(one, least) for one in values]
    return tuple(values) if many else values[0]


def check_output_dtype(function: str, wanted: torch.dtype, q: Tensor) -> None:
    """The output has q's dtype; float16, the default of the original, stands for that, too."""
    if wanted not in (torch.float16, q.dtype):
        raise ValueError(
            f"{function}: output_dtype is {check.short(wanted)}; expected q's "
            f"{check.short(q.dtype)} (use .to() on the result)"
        )
