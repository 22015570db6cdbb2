"""CpuBackend: what the C++ kernels can run, and the calls into them.

The one thing to know: encoding and packing K and V is one pass in C++ that yields an opaque `KV`;
the queries are encoded inside the attend call, by the same threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...formats import FP4, FP8, Float, Integer, Unsigned
from ...layouts.blocks import Band, BlockLayout
from ...layouts.budget import Budget
from ...layouts.memory import new_lse, new_output
from ...precision.native import Native
from ...precision.recipe import Recipe, WayBack
from ..base import Request
from . import estimate, native

FAR = (1 << 63) // 4  # a band without a limit, kFar in csrc
DIRECT_ROWS = 16  # kDirectRows in csrc
ROWS = 8  # layouts start their query blocks at multiples of the largest micro-kernel


@dataclass(frozen=True)
class Operands:
    """The queries as they came; keys and values encoded, or (for few queries) as they came, too."""

    q: Tensor
    kv: Any
    direct: tuple[Tensor, Tensor] | None = None


class CpuBackend:
    """C++ kernels for x86-64 and, slower, for any processor."""

    name = "cpu"

    @property
    def fast_int8(self) -> bool:
        """Whether this processor has the 8-bit products that make int8 the fastest choice."""
        module, _ = native.load()
        return module is not None and module.active() == "avx512"

    def refuses(self, request: Request) -> str | None:
        _, reason = native.load()
        if reason is not None:
            return reason
        if request.device.type != "cpu":
            return f"needs tensors on the cpu, these are on {request.device}"
        if request.dtype not in native.DTYPES:
            return f"needs float32, bfloat16 or float16, not {str(request.dtype)[6:]}"
        if request.head_dim > 256 or request.v_dim > 256:
            return f"needs head sizes up to 256, not {max(request.head_dim, request.v_dim)}"
        if request.block is not None and request.block[0] % ROWS:
            return f"needs blocks of a multiple of {ROWS} queries, not {request.block[0]}"
        try:
            limits((request.band, request.layout_band), request.q_heads)
        except ValueError as error:
            return str(error)
        return refuses_recipe(request.recipe, request.dtype)

    def encode(self, q: Tensor, k: Tensor, v: Tensor, request: Request) -> Operands:
        module, _ = native.load()
        if reads_directly(request):
            return Operands(q, None, (k, v))
        formats = native.formats(request.recipe, request.dtype)
        threads = torch.get_num_threads()
        return Operands(q, module.KV(formats, native.tensor(k), native.tensor(v), threads))

    def attend(
        self,
        operands: Operands,
        request: Request,
        layout: BlockLayout | None,
        mask: Tensor | None,
        *,
        into: tuple[Tensor, Tensor] | None = None,
        tally: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        q = operands.q
        out, lse = into or (new_output(q, request.v_dim), new_lse(q))
        if operands.direct is None:
            attend_packed(
                operands.kv,
                q,
                request.scale,
                request.band,
                layout,
                mask,
                out,
                lse,
                skip=request.skip,
                merge=into is not None,
                tally=tally,
            )
            return out, lse
        if into is not None:
            raise ValueError("into has no meaning for queries that read K and V where they lie")
        _attend_direct(operands.direct, q, request, mask, out, lse)
        return out, lse

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
        from .backward import backward

        return backward(dout, dlse, q, k, v, out, lse, request, layout, mask)

    def block_means(
        self, x: Tensor, rows: int, mean: Tensor | None = None, likeness: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        return estimate.block_means(x, rows, mean, likeness)

    def antidiagonal(
        self, q: Tensor, k: Tensor, *, factor: float, stride: int, block: int, causal: bool
    ) -> Tensor:
        return estimate.antidiagonal(q, k, factor, stride, block, causal)

    def choose(
        self, scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        return estimate.choose(scores, budget, allowed, kept)


def attend_packed(
    kv: Any,
    q: Tensor,
    scale: float,
    band: Band | None,
    layout: BlockLayout | None,
    mask: Tensor | None,
    out: Tensor,
    lse: Tensor | None,
    *,
    skip: float | tuple[float, ...] | None = None,
    merge: bool = False,
    tally: Tensor | None = None,
) -> None:
    """Attend with keys and values that are already packed; writes `out` and `lse`.

    `merge` joins the result with what lies in them; `skip` and `tally` are the second filter's.
    """
    module, _ = native.load()
    threshold = None if skip is None else thresholds(skip, q.shape[1])
    bands = (band, layout.band if layout is not None else None)
    before, sink, after = limits(bands, q.shape[1])
    _alive, blocks = blocks_of(layout)
    mask, hidden = mask_of(mask)
    module.attend(
        kv,
        native.tensor(q),
        scale,
        before.data_ptr(),
        sink.data_ptr(),
        after,
        hidden,
        blocks,
        0 if threshold is None else threshold.data_ptr(),
        0 if tally is None else tally.data_ptr(),
        native.tensor(out),
        0 if lse is None else lse.data_ptr(),
        merge,
        torch.get_num_threads(),
    )


def blocks_of(layout: BlockLayout | None) -> tuple[tuple[Tensor, ...], tuple | None]:
    """The tables to keep alive, and what the extension is told of a layout."""
    if layout is None:
        return (), None
    counts, indices = layout.counts.contiguous(), layout.indices.contiguous()
    per_batch, per_head = counts.shape[0] > 1, counts.shape[1] > 1
    where = (
        counts.data_ptr(),
        indices.data_ptr(),
        *layout.block,
        layout.grid[0],
        indices.shape[3],  # the extension uses nK as the length of a row only
        per_batch,
        per_head,
    )
    return (counts, indices), where


@lru_cache(maxsize=256)
def thresholds(skip: float | tuple[float, ...], heads: int) -> Tensor:
    """The second filter's threshold of each query head, float32 `[Hq]`."""
    return torch.tensor(skip if isinstance(skip, tuple) else (skip,) * heads)


def reads_directly(request: Request) -> bool:
    """Whether K and V are read where they lie: exact numbers, too few queries to repay packing."""
    return (
        request.recipe == Native().recipe(request.head_dim)
        and request.block is None
        and request.skip is None
        and request.q_length * (request.q_heads // request.kv_heads) <= DIRECT_ROWS
    )


def _attend_direct(kv, q: Tensor, request: Request, mask: Tensor | None, out, lse) -> None:
    module, _ = native.load()
    before, sink, after = limits((request.band, None), q.shape[1])
    mask, hidden = mask_of(mask)
    module.attend_direct(
        *map(native.tensor, kv),
        native.tensor(q),
        request.scale,
        before.data_ptr(),
        sink.data_ptr(),
        after,
        hidden,
        native.tensor(out),
        lse.data_ptr(),
        native.P_KINDS.index(native.float_kind(request.recipe.p, request.dtype)),
        torch.get_num_threads(),
    )


def mask_of(mask: Tensor | None) -> tuple[Tensor | None, tuple | None]:
    """The mask to keep alive, and what the extension is told of it."""
    if mask is None:
        return None, None
    additive = mask.dtype != torch.bool
    if additive and mask.dtype != torch.float32:
        mask = mask.float()
    sizes = zip(mask.shape, mask.stride(), strict=True)
    strides = (0 if size == 1 else stride for size, stride in sizes)
    return mask, (mask.data_ptr(), additive, *strides)


@lru_cache(maxsize=256)
def limits(bands: tuple[Band | None, ...], heads: int) -> tuple[Tensor, Tensor, int]:
    """What all bands allow together: before `[Hq]`, sink `[Hq]` (int64), after."""
    after, before, sink = FAR, [FAR] * heads, [0] * heads
    for band in bands:
        if band is None:
            continue
        if band.after is not None:
            after = min(after, band.after)
        for h in range(heads):
            far = band.before[h] if isinstance(band.before, tuple) else band.before
            first = band.sink[h] if isinstance(band.sink, tuple) else band.sink
            if far is None:
                continue
            if before[h] == FAR:
                before[h], sink[h] = far, first
            elif (far <= before[h]) == (first <= sink[h]) or far == before[h] or first == sink[h]:
                before[h], sink[h] = min(far, before[h]), min(first, sink[h])
            else:
                raise ValueError(
                    f"cannot combine {bands[0]} with {bands[1]} in one window and sink"
                )
    return torch.tensor(before), torch.tensor(sink), after


def refuses_recipe(recipe: Recipe, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot compute these numbers, or None."""
    if recipe.back is not None and (reason := _refuses_way_back(recipe)):
        return reason
    if recipe.denominator != "exact":
        return f'sums p as it is (denominator="exact"), not "{recipe.denominator}"'
    if recipe.tile not in (64, 128):
        return f"needs tiles of 64 or 128 keys, not {recipe.tile}"
    if recipe.block_q != 128 or recipe.warp_q not in (16, 32):
        return f"needs block_q 128 and warp_q 16 or 32, not {recipe.block_q} and {recipe.warp_q}"
    if type(recipe.q) is not type(recipe.k) or (
        isinstance(recipe.q, Integer) and recipe.q.bits != recipe.k.bits
    ):
        return f"needs one kind of format for Q and K, not {recipe.q} and {recipe.k}"
    if isinstance(recipe.q, FP8):
        return f"has no product for Q and K in {recipe.q}"
    by_tile = isinstance(recipe.v, Integer) and recipe.v.granularity == "channel+tile"
    if recipe.mean_every > 1 and not (by_tile or isinstance(recipe.v, Float)):
        return f"needs mean_every 1 beside scales over all tokens, not {recipe.mean_every}"
    return _refuses_product(recipe, dtype)


def _refuses_way_back(recipe: Recipe) -> str | None:
    back = recipe.back
    if recipe.smooth_q:
        return "has no backward pass in integers beside smooth_q"
    expected = WayBack(delta=back.delta)
    for name in ("scales", "dp", "mean_term", "rows", "keys", "codes"):
        if (value := getattr(back, name)) != (wanted := getattr(expected, name)):
            return f"has a backward pass in integers with {name}={wanted!r} only, not {value!r}"
    return None


def _refuses_product(recipe: Recipe, dtype: torch.dtype) -> str | None:
    p, v = recipe.p, recipe.v
    if isinstance(p, Unsigned):
        if not (isinstance(v, Integer) and v.bits == 8 and v.granularity.startswith("channel")):
            return f"needs 8-bit V per channel beside integer P, not {v}"
        if recipe.accumulate != "fp32":
            return f'needs accumulate="fp32" for integer P, not "{recipe.accumulate}"'
        return None
    if isinstance(v, Integer):
        return f"needs integer P beside integer V, not {p}"
    if isinstance(p, Float) and isinstance(v, Float):
        p_name, v_name = (native.float_kind(x, dtype) for x in (p, v))
        return None if p_name == v_name else f"needs P and V in one dtype, not {p} and {v}"
    if isinstance(p, (FP8, FP4)) and isinstance(v, (FP8, FP4)):
        if recipe.accumulate != "fp32" and recipe.chain % 32:
            return f"needs chains of whole 32 keys, not {recipe.chain}"
        return None
    return f"has no product for P in {p} and V in {v}"
