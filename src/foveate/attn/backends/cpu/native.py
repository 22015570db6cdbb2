"""The C++ extension: loading it, and what it calls things.

The one thing to know: tensors cross the border as tuples of address, dtype, strides and shape,
which costs a tenth of a DLPack exchange. Whoever calls keeps the tensors alive until it returns.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from ....env import TARGET
from ...formats import FP4, FP8, Float, Integer, Unsigned
from ...precision.recipe import Recipe

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
CODES = 3  # int8, where keys and values are read in place

# numbers of the enums in csrc/types.h
GRAINS = ("tensor", "block", "warp", "thread", "token")
QK_KINDS = ("f32", "bf16", "integer", "nvfp4", "mxfp4")
P_KINDS = ("f32", "f16", "bf16", "u8_tile", "u8_running", "e4m3", "e5m2", "nvfp4", "mxfp4")
V_KINDS = ("f32", "f16", "bf16", "i8_channel", "i8_channel_tile", "e4m3", "e5m2", "nvfp4", "mxfp4")
SUMS = ("fp32", "fp22", "fp22+fp32", "fp16", "fp16+fp32")


@lru_cache(maxsize=1)
def load() -> tuple[ModuleType | None, str | None]:
    """The extension with its target set, or None and the reason why it cannot be used."""
    try:
        from foveate import _native
    except ImportError as error:
        if "_native" in str(error) and "cannot import name" in str(error):
            return None, "the C++ extension is not built; reinstall with a C++20 compiler (g++ 12)"
        return None, f"the C++ extension does not load ({error}); reinstall foveate"
    try:
        _native.set_target(TARGET.get() or "")
    except ValueError as error:
        return None, f"{TARGET.name}: {error}"
    return _native, None


def tensor(x: Tensor) -> tuple[int, ...]:
    """A `[B, H, L, D]` tensor as the extension takes it; its last stride is 1."""
    batch, heads, length, _ = x.stride()
    return (x.data_ptr(), DTYPES[x.dtype], batch, heads, length, *x.shape)


@lru_cache(maxsize=256)
def formats(recipe: Recipe, dtype: torch.dtype):
    """The recipe for inputs of this dtype as the extension's `Formats`."""
    native, _ = load()
    q, k, p, v = recipe.q, recipe.k, recipe.p, recipe.v
    p_kind, levels = _p_kind(p, dtype)
    return native.Formats(
        qk=QK_KINDS.index(_qk_kind(q, dtype)),
        limit=q.limit if isinstance(q, Integer) else 0,
        q_grain=GRAINS.index(q.granularity) if isinstance(q, Integer) else 0,
        k_grain=GRAINS.index(_k_grain(k, recipe.tile)) if isinstance(k, Integer) else 0,
        qk_second=isinstance(q, FP4) and q.second_level,
        p=P_KINDS.index(p_kind),
        levels=levels,
        v=V_KINDS.index(_v_kind(v, dtype)),
        v_limit=float(getattr(v, "limit", 0)),
        # float16 that the recipe asks for is kept in range; float16 inputs are taken as they are
        v_second=v.second_level if isinstance(v, FP4) else v == Float("float16"),
        sum=SUMS.index(recipe.accumulate),
        chain=recipe.chain,
        smooth_q=recipe.smooth_q,
        smooth_k=recipe.smooth_k,
        smooth_v=recipe.smooth_v,
        mean_every=recipe.mean_every,
        block_q=recipe.block_q,
        warp_q=recipe.warp_q,
        tile=recipe.tile,
    )


def float_kind(fmt: Float, dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.") if fmt.dtype == "input" else fmt.dtype
    return {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[name]


def _qk_kind(fmt, dtype: torch.dtype) -> str:
    if isinstance(fmt, Integer):
        return "integer"
    if isinstance(fmt, FP4):
        return fmt.kind
    # float16 values are exact in float32, and this processor multiplies only those
    kind = float_kind(fmt, dtype)
    return "f32" if kind == "f16" else kind


def _k_grain(fmt: Integer, tile: int) -> str:
    # a warp has 64 keys; where that is the tile, one scale per tile is the faster road
    return "block" if fmt.granularity == "warp" and tile == 64 else fmt.granularity


def _p_kind(fmt, dtype: torch.dtype) -> tuple[str, float]:
    match fmt:
        case Float():
            return float_kind(fmt, dtype), 1.0
        case Unsigned():
            return f"u8_{fmt.max}", float(fmt.levels)
        case FP8():
            return fmt.kind, fmt.limit
        case FP4():
            return fmt.kind, 2688.0 if fmt.second_level else 1.0
    raise TypeError(f"P cannot be written as {fmt}")


def _v_kind(fmt, dtype: torch.dtype) -> str:
    match fmt:
        case Float():
            return float_kind(fmt, dtype)
        case Integer():
            return "i8_" + fmt.granularity.replace("+", "_")
        case FP8() | FP4():
            return fmt.kind
    raise TypeError(f"V cannot be written as {fmt}")
