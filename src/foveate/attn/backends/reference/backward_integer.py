"""The way back through attention in 8-bit integers, as `WayBack` defines it, in plain torch.

The one thing to know: tiles of P and dS are rounded where they lie and keep their scales
(x → step · round(x / step)), many tiles at once; products then run on these numbers. A tile's sum
of integers times its scale and the sum of integers times scales differ by float rounding alone.
Memory is linear in length: keys are taken in spans of as many tiles as `SPAN` pairs hold.
Source: SageBwd (arXiv 2505.11594), algorithm 2; (arXiv 2603.02170), algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...formats.fp8 import LARGEST, round_fp8
from ...formats.quantized import SMALLEST
from ...layouts.blocks import BlockLayout
from ...precision.recipe import WayBack
from ..base import Request
from . import probabilities
from .attend import LOG2E, hide, score_tile
from .encode import encode, working_dtype
from .products import matmul, scores, stack_heads
from .visibility import Visibility

SPAN = {"cpu": 2**22}  # pairs of (query, key) at once, over all heads
SPAN_ELSEWHERE = 2**27  # where a launch costs more than memory
P_LEVELS, LIMIT = 255, 127


def backward_integer(
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
    """See `Backend.backward`; `request.recipe.back` is not None."""
    call = _Call(dout, dlse, q, k, v, out, lse, request, layout, mask)
    spans = call.spans()
    kept = [call.products(*spans[0])] if len(spans) == 1 else None
    if request.recipe.back.delta == "products":
        for span, (p, dp) in zip(spans, kept or map(call.products, *_apart(spans)), strict=True):
            call.delta[:, :, span[0]] += (p * dp).sum(-1, keepdim=True)
    for span, (p, dp) in zip(spans, kept or map(call.products, *_apart(spans)), strict=True):
        call.fold(*span, p, dp)
    return call.finish(q, k, v)


def _apart(spans: list[tuple[slice, slice]]) -> tuple[list[slice], list[slice]]:
    return [rows for rows, _ in spans], [keys for _, keys in spans]


class _Call:
    """The operands of one call, and its sums."""

    def __init__(self, dout, dlse, q, k, v, out, lse, request, layout, mask) -> None:
        back, dtype = request.recipe.back, working_dtype(request)
        self.request, self.back, self.dtype = request, back, dtype
        self.visibility = Visibility(request, layout, mask)
        self.blocks = Blocks(back, None if layout is None else layout.block[0])
        self.operands = operands = encode(q, k, v, request)
        self.q = operands.q.values(0, request.q_length, dtype)
        self.q_scale = _row_scale(operands.q.row_scale(), self.q)
        self.k = operands.k.values(0, request.k_length, dtype)
        self.k_scale = _row_scale(operands.k.row_scale(), self.k)
        wide = dout.to(dtype)
        self.dout, self.dout_scale = _write_rows(wide, self.blocks, back)
        self.left, self.right = _operands_of_dp(wide, v.to(dtype), self.blocks, back)
        lse = lse.to(dtype).unsqueeze(-1)
        self.empty = lse == -torch.inf
        shift = 0.0 if operands.lse_shift is None else operands.lse_shift.unsqueeze(-1)
        # base 2; infinity where a row sees nothing: P = 0
        self.top = torch.where(self.empty, torch.inf, (lse - shift) * LOG2E)
        self.dlse = torch.zeros_like(lse) if dlse is None else dlse.to(dtype).unsqueeze(-1)
        self.dlse = torch.where(self.empty, 0.0, self.dlse)
        self.delta = -self.dlse
        if back.delta == "out":
            self.delta = self.delta + (wide * out.to(dtype)).sum(-1, keepdim=True)
        self.row_sum = torch.zeros_like(lse)  # of dS
        self.sums = [torch.zeros(x.shape, dtype=dtype, device=x.device) for x in (q, k, v)]

    def spans(self) -> list[tuple[slice, slice]]:
        """Queries and keys to take together; queries begin and end with their blocks."""
        request, keys = self.request, self.back.keys
        room = SPAN.get(request.device.type, SPAN_ELSEWHERE)
        pairs = request.batch * request.q_heads * request.q_length * keys
        step = max(1, room // max(pairs, 1)) * keys
        found = []
        for start in range(0, request.k_length, step):
            stop = min(start + step, request.k_length)
            first, last = self.visibility.rows(start, stop)
            if first < last:
                first, last = self.blocks.around(first, last, request.q_length)
                found.append((slice(first, last), slice(start, stop)))
        return found

    def products(self, rows: slice, keys: slice) -> tuple[Tensor, Tensor]:
        """P and dP of a span, `[B, Hq, rows, keys]`; dP is 0 where P is."""
        part = self.q[:, :, rows]
        s = score_tile(part, self.q_scale, self.operands, self.request, rows, keys)
        s, _ = hide(s, self.visibility, rows, keys)
        p = probabilities.exp2_below(s, self.top[:, :, rows])
        dp = scores(self.left[:, :, rows], self.right[:, :, keys])
        return p, torch.where(p == 0, 0.0, dp)  # hidden values may be infinite

    def fold(self, rows: slice, keys: slice, p: Tensor, dp: Tensor) -> None:
        """Add what a span gives to the gradients."""
        dq, dk, dv = self.sums
        ds = torch.where(p == 0, 0.0, p * (dp - self.delta[:, :, rows]))
        self.row_sum[:, :, rows] += ds.sum(-1, keepdim=True)
        q, dout, k = self.q[:, :, rows], self.dout[:, :, rows], self.k[:, :, keys]
        q_scale, k_scale = self.q_scale[:, :, rows], self.k_scale[:, :, keys]
        dout_scale, blocks = self.dout_scale[:, :, rows], self.blocks
        if self.back.scales == "axis":
            across = _per_query_head(k_scale, ds).transpose(-1, -2)
            for_v = blocks.rounded(p * dout_scale, "rows", P_LEVELS)
            for_k = blocks.rounded(ds * q_scale, "rows", LIMIT)
            for_q = blocks.rounded(ds * across, "keys", LIMIT)
        else:
            q, dout, k = q * q_scale, dout * dout_scale, k * k_scale
            ds_tile = ds
            if self.back.scales == "block":
                p, ds_tile = (blocks.rounded(x, "tile", LIMIT) for x in (p, ds))
            for_v, for_k, for_q = p, ds_tile, ds_tile
        dv[:, :, keys] += _over_rows(for_v, dout, dv.shape[1])
        dk[:, :, keys] += _over_rows(for_k, q, dk.shape[1])
        if self.operands.q_mean is not None:  # dSᵀ·q̄, in float
            block = torch.arange(rows.start, rows.stop, device=ds.device)
            q_mean = self.operands.q_mean[:, :, block // self.request.recipe.block_q]
            dk[:, :, keys] += _over_rows(ds, q_mean, dk.shape[1])
        dq[:, :, rows] += matmul(stack_heads(for_q, k.shape[1]), k).view(*ds.shape[:3], -1)

    def finish(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients in the inputs' dtypes."""
        dq, dk, dv = self.sums
        if self.operands.k_mean is not None:
            total = self.row_sum if self.back.mean_term else self.dlse
            dq += total * self.operands.k_mean.repeat_interleave(dq.shape[1] // dk.shape[1], 1)
        dq, dk = dq * self.request.scale, dk * self.request.scale
        return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


@dataclass(frozen=True)
class Blocks:
    """Where blocks of rows and tiles of keys begin, and rounding by them.

    Args:
        back: rows and keys.
        period: Queries per block of the layout, in which blocks of rows begin anew; None without.
    """

    back: WayBack
    period: int | None

    def around(self, first: int, last: int, length: int) -> tuple[int, int]:
        """The rows of all blocks that hold one of rows first … last − 1."""
        period = self.period or self.back.rows
        return first // period * period, min(-(-last // period) * period, length)

    def rounded(self, x: Tensor, along: str, levels: int) -> Tensor:
        """step · round(x / step) with step = max|x| / levels over parts of each tile.

        Args:
            x: `[B, H, rows, keys]`; the first row begins a block, the first key a tile.
            along: The part: "rows" (a column of the tile), "keys" (a row of it) or "tile".
            levels: Largest code.
        """
        tiles = self._split(x, self.back.keys)
        part = {"rows": (3,), "keys": (5,), "tile": (3, 5)}[along]
        codes, step = self.write(tiles, part, levels)
        return self._join(codes.mul_(step), *x.shape[2:])

    def codes_of_blocks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of x `[B, H, L, D]` with one scale per block of rows, and each row's scale."""
        tiles = self._split(x, x.shape[3])
        codes, step = self.write(tiles, (3, 5), LIMIT)
        scale = self._join(step.expand(*tiles.shape[:5], 1), x.shape[2], 1)
        return self._join(codes, *x.shape[2:]), scale

    def write(self, x: Tensor, part: tuple[int, ...], levels: int) -> tuple[Tensor, Tensor]:
        """Codes of x and their step, max|x| over some axes / largest code."""
        fp8 = self.back.codes == "fp8"
        largest = LARGEST["e4m3"] if fp8 else levels
        step = x.abs().amax(part, keepdim=True).clamp_min(SMALLEST) / largest
        codes = x / step
        return round_fp8(codes) if fp8 else codes.round_(), step

    def _split(self, x: Tensor, keys: int) -> Tensor:
        """`[B, H, periods · blocks, rows, tiles, keys]`, filled up with zeros."""
        rows = self.back.rows
        period = self.period or rows
        size = min(rows, period)
        x = pad(x, (0, -x.shape[3] % keys, 0, -x.shape[2] % period))
        x = x.unflatten(2, (-1, period))
        x = pad(x, (0, 0, 0, -period % size)).flatten(2, 3)
        return x.unflatten(2, (-1, size)).unflatten(4, (-1, keys))

    def _join(self, tiles: Tensor, length: int, width: int) -> Tensor:
        """What `_split` split, `[B, H, length, width]`."""
        rows = self.back.rows
        period = self.period or rows
        x = tiles.flatten(4, 5).flatten(2, 3)
        x = x.unflatten(2, (-1, period + -period % min(rows, period)))[:, :, :, :period]
        return x.flatten(2, 3)[:, :, :length, :width]


def _write_rows(x: Tensor, blocks: Blocks, back: WayBack) -> tuple[Tensor, Tensor]:
    """Codes of dO (or V) and the scale of each row, `[B, H, L, 1]`."""
    if back.scales == "none":
        return x, torch.ones_like(x[..., :1])
    if back.scales == "block":
        return blocks.codes_of_blocks(x)
    return blocks.write(x, (3,), LIMIT)


def _operands_of_dp(
    dout: Tensor, v: Tensor, blocks: Blocks, back: WayBack
) -> tuple[Tensor, Tensor]:
    """dO and V as they enter dP."""
    if back.dp == "fp32":
        return dout, v
    if back.dp == "int8":
        tiles = Blocks(WayBack(rows=back.keys, codes=back.codes), None)
        pairs = (_write_rows(dout, blocks, back), _write_rows(v, tiles, back))
        return tuple(codes * scale for codes, scale in pairs)
    dtype = torch.bfloat16 if back.dp == "bf16" else torch.float16
    return dout.to(dtype).to(dout.dtype), v.to(dtype).to(v.dtype)


def _row_scale(scale: Tensor | None, like: Tensor) -> Tensor:
    """A scale for every row, `[B, H, L, 1]`; ones where there is none."""
    return torch.ones_like(like[..., :1]) if scale is None else scale.expand(*like.shape[:3], 1)


def _per_query_head(x: Tensor, like: Tensor) -> Tensor:
    return x.repeat_interleave(like.shape[1] // x.shape[1], 1)


def _over_rows(x: Tensor, y: Tensor, kv_heads: int) -> Tensor:
    """xᵀ·y summed over the query heads that share a kv head.

    Args:
        x: `[B, Hq, rows, keys]`.
        y: `[B, Hq, rows, D]`.
        kv_heads: Hk.

    Returns:
        `[B, Hk, keys, D]`.
    """
    return matmul(stack_heads(x, kv_heads).transpose(-1, -2), stack_heads(y, kv_heads))
