"""Checks of arguments: what can be said from shapes, dtypes and devices, without reading data.

The one thing to know: `attention` runs these only when it makes a new plan; calls that repeat the
same sizes have been checked already. The operators' fakes run them too, on symbolic sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .layouts.blocks import Band, Outline

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
HEAD_SIZES = (8, 256)


def check_tensors(**tensors: object) -> None:
    """Every argument must be a strided tensor."""
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} is {type(x).__name__}; expected a torch.Tensor")
        if x.layout != torch.strided:
            raise TypeError(
                f"{name} has layout {x.layout}; expected a dense tensor (use .to_dense())"
            )


def check_no_grad(**tensors: Tensor | None) -> None:
    """Refuse inputs that require grad: a result without its graph must not pass unnoticed."""
    if not torch.is_grad_enabled():
        return
    for name, x in tensors.items():
        if x is not None and x.requires_grad:
            raise ValueError(
                f"{name} requires grad, and attention has no backward pass here; "
                f"call it under torch.no_grad(), or pass {name}.detach()"
            )


def check_shapes(q: Sequence[int], k: Sequence[int], v: Sequence[int]) -> None:
    """Ranks, batch sizes, head counts, lengths and head sizes of q, k and v."""
    for name, shape, letters in (
        ("q", q, "[B, Hq, Lq, D]"),
        ("k", k, "[B, Hk, Lk, D]"),
        ("v", v, "[B, Hk, Lk, Dv]"),
    ):
        if len(shape) != 4:
            raise ValueError(
                f"{name} has {len(shape)} dimensions, {list(shape)}; expected 4, {letters}"
            )
    _check_heads(q, k, v, length_axis=2)


def check_packed_shapes(q: Sequence[int], k: Sequence[int], v: Sequence[int]) -> None:
    """The same for packed sequences, `[ΣL, H, D]`."""
    for name, shape, letters in (
        ("q", q, "[ΣLq, Hq, D]"),
        ("k", k, "[ΣLk, Hk, D]"),
        ("v", v, "[ΣLk, Hk, Dv]"),
    ):
        if len(shape) != 3:
            raise ValueError(
                f"{name} has {len(shape)} dimensions, {list(shape)}; expected 3, {letters}"
            )
    _check_heads(q, k, v, length_axis=0)


def _check_heads(q: Sequence[int], k: Sequence[int], v: Sequence[int], length_axis: int) -> None:
    came = f"(q {list(q)}, k {list(k)}, v {list(v)})"
    if length_axis == 2 and not (q[0] == k[0] == v[0]):
        raise ValueError(
            f"q, k and v have batch sizes {q[0]}, {k[0]} and {v[0]}; expected one size {came}"
        )
    if k[1] != v[1]:
        raise ValueError(f"v has {v[1]} heads, k has {k[1]}; expected the same number {came}")
    if k[1] == 0 or q[1] % k[1] != 0:
        raise ValueError(
            f"k has {k[1]} heads, which does not divide q's {q[1]}; expected Hq % Hk == 0 {came}"
        )
    if k[length_axis] != v[length_axis]:
        raise ValueError(
            f"v has {v[length_axis]} keys, k has {k[length_axis]}; expected the same number {came}"
        )
    if q[-1] != k[-1]:
        raise ValueError(f"k has head size {k[-1]}, q has {q[-1]}; expected the same size {came}")
    low, high = HEAD_SIZES
    if not low <= q[-1] <= high:
        way_out = "; append zeros to q and k, and pass scale=" if q[-1] < low else ""
        raise ValueError(f"q has head size {q[-1]}; expected {low} to {high} {came}{way_out}")
    if not 1 <= v[-1] <= high:
        raise ValueError(
            f"v has head size {v[-1]}; expected 1 to {high} {came}; attend to parts of v in turn"
        )


def check_dtypes(q: torch.dtype, k: torch.dtype, v: torch.dtype) -> None:
    """One floating dtype for all."""
    if not q == k == v:
        raise TypeError(
            f"q, k and v have dtypes {short(q)}, {short(k)} and {short(v)}; expected one dtype"
        )
    if q not in DTYPES:
        raise TypeError(
            f"q has dtype {short(q)}; expected {', '.join(map(short, DTYPES))} (convert with .to())"
        )


def check_devices(q: torch.device, k: torch.device, v: torch.device) -> None:
    """One device for all."""
    if not q == k == v:
        raise ValueError(
            f"q, k and v are on {q}, {k} and {v}; expected one device (move with .to())"
        )


def check_mask(
    shape: Sequence[int],
    dtype: torch.dtype,
    device: torch.device,
    q: Sequence[int],
    k: Sequence[int],
    q_dtype: torch.dtype,
    q_device: torch.device,
) -> None:
    """A bool or additive mask that broadcasts to `[B, Hq, Lq, Lk]`."""
    if dtype not in (torch.bool, torch.float32, q_dtype):
        raise TypeError(
            f"mask has dtype {short(dtype)}; expected bool (True = attend), "
            f"or float32 or q's {short(q_dtype)} (added to the scores)"
        )
    if device != q_device:
        raise ValueError(
            f"mask is on {device}, q on {q_device}; expected one device (move with .to())"
        )
    full = (q[0], q[1], q[2], k[2])
    fits = len(shape) <= 4 and all(
        x == 1 or x == want for x, want in zip(reversed(shape), reversed(full), strict=False)
    )
    if not fits:
        raise ValueError(
            f"mask has shape {list(shape)}; expected one that broadcasts to [B, Hq, Lq, Lk] = "
            f"{list(full)}"
        )


def check_name(what: str, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f'{what} is {type(name).__name__}; expected a name or "auto"')


def check_causal(causal: object) -> None:
    if causal is not True and causal is not False:
        raise TypeError(f"causal is {causal!r}; expected True or False")


def check_scale(scale: object, head_dim: int) -> float:
    """The scale as a float; None is D ** -0.5."""
    if scale is None:
        return head_dim**-0.5
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise TypeError(
            f"scale is {type(scale).__name__}; expected a number, or None for 1/sqrt(D)"
        )
    if not math.isfinite(scale) or scale <= 0:
        raise ValueError(
            f"scale is {scale}; expected a finite number above 0, or None for 1/sqrt(D) = "
            f"{head_dim**-0.5}"
        )
    return float(scale)


def check_layout(layout: Outline, q: Sequence[int], k: Sequence[int]) -> None:
    """A layout must be made for these lengths, and its tables for this batch and these heads."""
    if layout.lengths != (q[2], k[2]):
        raise ValueError(
            f"select is a BlockLayout for lengths {layout.lengths}; expected (Lq, Lk) = "
            f"{(q[2], k[2])}"
        )
    if layout.batch not in (1, q[0]):
        raise ValueError(
            f"select is a BlockLayout for batch size {layout.batch}; expected 1 or {q[0]}"
        )
    if layout.heads not in (1, q[1]):
        raise ValueError(
            f"select is a BlockLayout for {layout.heads} heads; expected 1 or q's {q[1]}"
        )
    check_band(layout.band, q[1])


def check_band(band: Band | None, heads: int) -> None:
    if band is not None and band.heads not in (None, heads):
        raise ValueError(
            f"select has a Band for {band.heads} heads; expected one value, or one per head of "
            f"q, {heads}"
        )


def short(dtype: torch.dtype) -> str:
    """float32, not torch.float32."""
    return str(dtype).removeprefix("torch.")
