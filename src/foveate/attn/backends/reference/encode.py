"""Encode: smooth Q, K and V, then write them in the recipe's formats.

The one thing to know: inputs are lifted to float32 (float64 stays) before anything is subtracted,
and nothing of the caller's is changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...formats import FP4, FP8, Float, Format, Integer
from ...formats.fp4 import encode_fp4
from ...formats.fp8 import encode_fp8_channels, encode_fp8_rows
from ...formats.fp16 import encode_fp16
from ...formats.granularity import key_groups, query_groups
from ...formats.integer import (
    encode_channels,
    encode_channels_and_tiles,
    encode_rows,
    encode_tiles,
)
from ...formats.quantized import Quantized
from ...formats.smoothing import mean_of_blocks, mean_of_rows
from ...precision.recipe import Recipe
from ..base import Request


@dataclass(frozen=True, eq=False)
class Operands:
    """Everything `attend` reads: codes, scales and what smoothing took away.

    Args:
        q, k, v: Codes and scales of Q `[B, Hq, Lq, D]`, K `[B, Hk, Lk, D]`, V `[B, Hk, Lk, Dv]`.
        q_mean: Mean of each block of queries, `[B, Hq, ceil(Lq / block_q), D]`; None unless
            smooth_q.
        k_smooth: Keys without their mean, unquantised, for the term q̄·k'; None unless smooth_q.
        k_mean: `[B, Hk, 1, D]`; None unless smooth_k.
        v_mean: `[B, Hk, 1, Dv]`; None unless smooth_v.
        lse_shift: scale · q·k̄ with the full q, added to lse, `[B, Hq, Lq]`; None unless smooth_k.
        finite_v: No code of V is NaN or infinite.
        memory_order: Axes of q from the slowest to the fastest, for the output's strides.
    """

    q: Quantized
    k: Quantized
    v: Quantized
    q_mean: Tensor | None
    k_smooth: Tensor | None
    k_mean: Tensor | None
    v_mean: Tensor | None
    lse_shift: Tensor | None
    finite_v: bool
    memory_order: tuple[int, ...]


def working_dtype(request: Request) -> torch.dtype:
    """float64 for float64 inputs, else float32."""
    return torch.float64 if request.dtype == torch.float64 else torch.float32


def encode(q: Tensor, k: Tensor, v: Tensor, request: Request) -> Operands:
    """Write q `[B, Hq, Lq, D]`, k `[B, Hk, Lk, D]`, v `[B, Hk, Lk, Dv]` in the recipe's formats."""
    recipe, dtype = request.recipe, working_dtype(request)
    if min(request.batch, request.q_length, request.k_length) == 0:
        recipe = Recipe()  # nothing to measure a scale on, and nothing to attend to
    q_mean = k_mean = k_smooth = v_mean = shift = None
    q_rest, k_rest, v_rest = q, k, v
    if recipe.smooth_k:
        k_rest = k.to(dtype)
        k_mean = mean_of_rows(k_rest, recipe.mean_every)
        k_rest = k_rest - k_mean
        shift = _mean_scores(q.to(dtype), k_mean) * request.scale
    if recipe.smooth_q:
        q_rest, k_smooth = q.to(dtype), k_rest.to(dtype)
        q_mean = mean_of_blocks(q_rest, recipe.block_q)
        q_rest = q_rest - q_mean.repeat_interleave(recipe.block_q, 2)[:, :, : request.q_length]
    if recipe.smooth_v:
        v_rest = v.to(dtype)
        v_mean = mean_of_rows(v_rest, recipe.mean_every)
        v_rest = v_rest - v_mean
    values = _write_v(v_rest, recipe, dtype)
    return Operands(
        q=_write_rows(q_rest, recipe.q, dtype, recipe, "q"),
        k=_write_rows(k_rest, recipe.k, dtype, recipe, "k"),
        v=values,
        q_mean=q_mean,
        k_smooth=k_smooth,
        k_mean=k_mean,
        v_mean=v_mean,
        lse_shift=shift,
        finite_v=bool(values.codes.to(dtype).isfinite().all()),
        memory_order=tuple(sorted(range(4), key=lambda axis: -q.stride(axis))),
    )


def _write_rows(x: Tensor, fmt: Format, dtype: torch.dtype, recipe: Recipe, side: str) -> Quantized:
    """Q or K in its format."""
    match fmt:
        case Float(dtype="input"):
            return Quantized(x)
        case Float(dtype=name):
            return Quantized(x.to(getattr(torch, name)))
        case Integer(granularity=granularity):
            return encode_rows(x.to(dtype), *_groups(x, granularity, recipe, side), fmt.limit)
        case FP8(kind=kind, limit=limit):
            return encode_fp8_rows(x.to(dtype), *_groups(x, "block", recipe, side), kind, limit)
        case FP4():
            return encode_fp4(x.to(dtype), fmt, axis=-1)
    raise TypeError(f"{side} cannot be written in {fmt}; expected Float, Integer, FP8 or FP4")


def _groups(x: Tensor, granularity: str, recipe: Recipe, side: str) -> tuple[Tensor, int]:
    """Which rows of Q or K share a scale, and how many scales there are."""
    if side == "q":
        return query_groups(x.shape[2], granularity, recipe.block_q, recipe.warp_q, x.device)
    return key_groups(x.shape[2], granularity, recipe.tile, x.device)


def _write_v(v: Tensor, recipe: Recipe, dtype: torch.dtype) -> Quantized:
    """V in its format."""
    match recipe.v:
        case Float(dtype="input"):
            return Quantized(v)
        case Float(dtype="float16"):
            terms = {"fp16": v.shape[2], "fp16+fp32": recipe.tile}.get(recipe.accumulate, 1)
            return encode_fp16(v.to(dtype), terms)
        case Float(dtype=name):
            return Quantized(v.to(getattr(torch, name)))
        case Integer(granularity="channel") as fmt:
            return encode_channels(v.to(dtype), fmt.limit)
        case Integer(granularity="channel+tile") as fmt:
            return encode_channels_and_tiles(v.to(dtype), recipe.tile, fmt.limit)
        case Integer(granularity="tile") as fmt:
            return encode_tiles(v.to(dtype), recipe.tile, fmt.limit)
        case FP8(kind=kind, limit=limit):
            return encode_fp8_channels(v.to(dtype), kind, limit)
        case FP4() as fmt:
            return encode_fp4(v.to(dtype), fmt, axis=-2)
    raise TypeError(f"v cannot be written in {recipe.v}; expected Float, Integer, FP8 or FP4")


def _mean_scores(q: Tensor, k_mean: Tensor) -> Tensor:
    """q·k̄ of each query with the mean of its kv head, `[B, Hq, Lq]`."""
    group = q.shape[1] // k_mean.shape[1]
    return (q * k_mean.repeat_interleave(group, 1)).sum(-1)
