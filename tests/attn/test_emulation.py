"""The reference loop against the same numerics written densely, tile by tile, in float64.

Here every tile's maximum is known beforehand, so nothing is ever rescaled: P of tile j is written
relative to the largest score of tiles 0 … j, and outputs are weighted once at the end. Agreement to
the last digits says that rescaling, factors and scales of the loop are right.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from benchmarks.golden import run
from foveate.attn.backends.base import Request
from foveate.attn.backends.reference import backend
from foveate.attn.formats import FP4, FP8, Float, Unsigned
from foveate.attn.formats.fp4 import encode_groups
from foveate.attn.formats.fp8 import round_fp8
from tests.attn.kit import PRECISIONS, inputs

LENGTH = 300  # tiles of 64 and 128 keys both end ragged


def written(s: torch.Tensor, running: torch.Tensor, fmt) -> torch.Tensor:
    """P of one tile relative to `running`, after a round trip through its format."""
    p = torch.exp2(s - running)
    match fmt:
        case Float(dtype="float16"):
            return p.half().double()
        case Unsigned(max="running", levels=levels):
            return (p * levels).round() / levels
        case Unsigned(levels=levels):
            top = s.amax(-1, keepdim=True)
            return (torch.exp2(s - top) * levels).round() / levels * torch.exp2(top - running)
        case FP8(kind=kind, limit=limit):
            return round_fp8(p * limit, kind) / limit
        case FP4():
            unit = 2688.0 if fmt.second_level else 1.0
            codes, scale = encode_groups(p * unit, fmt)
            return codes * scale / unit
    return p


def dense(q, k, v, recipe) -> torch.Tensor:
    """Attention from decoded operands, with P written tile by tile."""
    operands = backend.encode(q, k, v, request(q, k, v, recipe))
    codes = [x.decode(torch.float64) for x in (operands.q, operands.k, operands.v)]
    q, k, v = codes[0], *(x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in codes[1:])
    s = q @ k.transpose(-1, -2)
    if recipe.smooth_q:
        block = torch.arange(q.shape[2]) // recipe.block_q
        keys = operands.k_smooth.repeat_interleave(q.shape[1] // operands.k_smooth.shape[1], 1)
        s = s + operands.q_mean[:, :, block] @ keys.transpose(-1, -2)
    s = s * q.shape[-1] ** -0.5 / math.log(2)
    tiles, running, tops = s.split(recipe.tile, -1), None, []
    for tile in tiles:
        top = tile.amax(-1, keepdim=True)
        running = top if running is None else torch.maximum(running, top)
        tops.append(running)
    weights = [torch.exp2(top - running) for top in tops]
    p = [
        w * written(tile, top, recipe.p) for w, tile, top in zip(weights, tiles, tops, strict=True)
    ]
    exact = torch.exp2(s - running)
    total = torch.cat(p, -1) if recipe.denominator == "quantized" else exact
    out = torch.cat(p, -1) @ v / total.sum(-1, keepdim=True)
    if recipe.smooth_v:
        out = out + operands.v_mean.repeat_interleave(q.shape[1] // operands.v_mean.shape[1], 1)
    return out


def request(q, k, v, recipe) -> Request:
    return Request(
        recipe=recipe,
        batch=q.shape[0],
        q_heads=q.shape[1],
        kv_heads=k.shape[1],
        q_length=q.shape[2],
        k_length=k.shape[2],
        head_dim=q.shape[3],
        v_dim=v.shape[3],
        dtype=q.dtype,
        device=q.device,
        scale=q.shape[3] ** -0.5,
        band=None,
        mask=None,
    )


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("smooth_v", [False, True])
@pytest.mark.parametrize("denominator", ["exact", "quantized"])
def test_the_loop_equals_the_dense_form(name, smooth_v, denominator):
    q, k, v = (x.double() for x in inputs(2, 4, 2, 140, LENGTH, 40, 24))
    recipe = replace(PRECISIONS[name].recipe(40), smooth_v=smooth_v, denominator=denominator)
    recipe = replace(recipe, accumulate="fp32")
    found, _ = run(q, 1.5 * k, v, recipe)
    # a rounding that falls on the other side of a tie may cost one code, never more
    torch.testing.assert_close(found, dense(q, 1.5 * k, v, recipe), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", PRECISIONS)
def test_float32_follows_float64(name):
    q, k, v = inputs(2, 4, 2, 140, LENGTH, 40, 24)
    recipe = PRECISIONS[name].recipe(40)
    single, single_lse = run(q, k, v, recipe)
    double, double_lse = run(q.double(), k.double(), v.double(), recipe)
    # codes on the edge between two values may differ, so bound the sum and not each value
    assert (single.double() - double).norm() <= 2e-3 * double.norm()
    torch.testing.assert_close(single_lse, double_lse, rtol=0, atol=2e-3)
