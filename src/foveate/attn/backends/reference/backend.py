"""Reference: plain torch on any device, the definition that other backends are tested against."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from ...formats import FP4, Integer, Unsigned
from ...layouts.blocks import BlockLayout
from ...layouts.budget import Budget, choose
from ...precision.recipe import Recipe
from ..base import Request
from . import estimate
from .attend import attend
from .backward import backward
from .backward_integer import backward_integer
from .encode import Operands, encode

VALUES_ONLY = ("channel", "channel+tile", "tile")  # granularities that only V may have
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def exactly(method: Callable) -> Callable:
    """Without graphs, and without autocast, which would round products of codes to 16 bits."""

    @wraps(method)
    def wrapped(self, first, *rest, **options):
        where = first if isinstance(first, Tensor) else rest[0]  # `attend` has a request second
        with torch.no_grad(), torch.autocast(where.device.type, enabled=False):
            return method(self, first, *rest, **options)

    return wrapped


class Reference:
    """Runs every recipe; refuses only what has no meaning."""

    name = "reference"

    def refuses(self, request: Request) -> str | None:
        """None if the request has a meaning, else the reason in a few words."""
        if request.dtype not in DTYPES:
            return f"needs float32, bfloat16, float16 or float64, the inputs are {request.dtype}"
        return _senseless(request.recipe)

    @exactly
    def encode(self, q: Tensor, k: Tensor, v: Tensor, request: Request) -> Operands:
        """Write q `[B, Hq, Lq, D]`, k `[B, Hk, Lk, D]`, v `[B, Hk, Lk, Dv]` as the recipe says."""
        return encode(q, k, v, request)

    @exactly
    def attend(
        self,
        operands: Operands,
        request: Request,
        layout: BlockLayout | None = None,
        mask: Tensor | None = None,
        *,
        into: tuple[Tensor, Tensor] | None = None,
        tally: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Online softmax over visible pairs: out `[B, Hq, Lq, Dv]`, lse float32 `[B, Hq, Lq]`."""
        return attend(operands, request, layout, mask, into, tally)

    @exactly
    def backward(
        self,
        dout: Tensor,
        dlse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        request: Request,
        layout: BlockLayout | None,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        how = backward if request.recipe.back is None else backward_integer
        return how(dout, dlse, q, k, v, out, lse, request, layout, mask)

    @exactly
    def block_means(
        self, x: Tensor, rows: int, mean: Tensor | None = None, likeness: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Mean of each block of rows, and how alike its rows are; see `Backend.block_means`."""
        return estimate.block_means(x, rows, mean, likeness)

    @exactly
    def antidiagonal(
        self, q: Tensor, k: Tensor, *, factor: float, stride: int, block: int, causal: bool
    ) -> Tensor:
        """Softmax mass of each pair of blocks; see `Backend.antidiagonal`."""
        return estimate.antidiagonal(q, k, factor=factor, stride=stride, block=block, causal=causal)

    @exactly
    def choose(
        self, scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Counts and indices of the blocks to visit; see `layouts.budget.choose`."""
        return choose(scores, budget, allowed, kept)


def _senseless(recipe: Recipe) -> str | None:
    """Why a recipe has no meaning, or None."""
    for side in ("q", "k"):
        fmt = getattr(recipe, side)
        by_column = getattr(fmt, "granularity", "") in VALUES_ONLY
        if isinstance(fmt, Unsigned) or by_column:
            return f"{side} cannot be written in {fmt}; it takes Float, Integer by rows, FP8 or FP4"
    if isinstance(recipe.p, Integer):
        return f"p cannot be written in {recipe.p}; it takes Float, Unsigned, FP8 or FP4"
    if isinstance(recipe.v, Unsigned) or (
        isinstance(recipe.v, Integer) and recipe.v.granularity not in VALUES_ONLY
    ):
        takes = "Float, Integer by channels or tiles, FP8 or FP4"
        return f"v cannot be written in {recipe.v}; it takes {takes}"
    per_tile = isinstance(recipe.p, Unsigned) and recipe.p.max == "tile"
    per_tile |= isinstance(recipe.v, Integer) and recipe.v.granularity != "channel"
    if per_tile and recipe.accumulate != "fp32":
        return f"factors per tile need accumulate fp32, the recipe says {recipe.accumulate}"
    if isinstance(recipe.p, FP4) and recipe.tile % recipe.p.group:
        return f"groups of {recipe.p.group} keys do not fill tiles of {recipe.tile}"
    return None
