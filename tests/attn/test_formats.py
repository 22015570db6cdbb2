"""Number formats: every code, every tie, and the groups that have nothing in them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveate.attn.formats import FP4
from foveate.attn.formats.fp4 import SECOND_LEVEL, encode_fp4, encode_groups, round_e2m1
from foveate.attn.formats.fp8 import LARGEST, encode_fp8_channels, round_fp8
from foveate.attn.formats.fp16 import encode_fp16
from foveate.attn.formats.rounding import (
    power_of_two_below,
    round_float,
    round_fp16,
    truncate_fp22,
)
from foveate.attn.formats.smoothing import mean_of_blocks, mean_of_rows
from tests.attn.kit import random

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
WORKING = [torch.float32, torch.float64]


def all_codes(kind: str) -> torch.Tensor:
    """Every finite value of an FP8 format, ascending, from torch's own table of bits."""
    dtype = torch.float8_e4m3fn if kind == "e4m3" else torch.float8_e5m2
    values = torch.arange(256, dtype=torch.uint8).view(dtype).to(torch.float64)
    return values[values.isfinite()].unique()


# --- FP8 and E2M1


@pytest.mark.parametrize("dtype", WORKING)
@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_every_fp8_code_is_a_fixed_point(kind, dtype):
    codes = all_codes(kind).to(dtype)
    assert codes.max() == LARGEST[kind]
    assert torch.equal(round_fp8(codes, kind), codes)


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_fp8_ties_go_to_the_even_code(kind):
    codes = all_codes(kind)
    middles = (codes[1:] + codes[:-1]) / 2
    # of two neighbours exactly one has an even mantissa: torch's bit pattern says which
    dtype = torch.float8_e4m3fn if kind == "e4m3" else torch.float8_e5m2
    even = codes.to(dtype).view(torch.uint8) % 2 == 0
    expected = torch.where(even[1:], codes[1:], codes[:-1])
    assert torch.equal(round_fp8(middles, kind), expected)


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_fp8_agrees_with_torch_inside_the_range(kind):
    x = torch.cat([random(20000) * scale for scale in (1e-5, 1e-2, 1.0, 50.0)])
    dtype = torch.float8_e4m3fn if kind == "e4m3" else torch.float8_e5m2
    assert torch.equal(round_fp8(x, kind), x.clamp(-LARGEST[kind], LARGEST[kind]).to(dtype).float())


def test_float64_is_rounded_once():
    # just above the middle of two codes: a detour through float32 would land on it and go down
    x = torch.tensor([1.0625 + 2.0**-40], dtype=torch.float64)
    assert round_fp8(x).item() == 1.125
    assert x.to(torch.float8_e4m3fn).item() == 1.0


@pytest.mark.parametrize(("x", "expected"), [(500.0, 448.0), (-1e30, -448.0), (math.inf, 448.0)])
def test_fp8_saturates_where_a_cast_gives_nan(x, expected):
    assert round_fp8(torch.tensor([x])).item() == expected


def test_nan_stays_nan():
    nan = torch.tensor([math.nan])
    assert round_fp8(nan).isnan().all()
    assert round_e2m1(nan).isnan().all()
    assert truncate_fp22(nan).isnan().all()


@pytest.mark.parametrize("dtype", WORKING)
def test_e2m1_codes_and_ties(dtype):
    grid = torch.tensor(E2M1, dtype=dtype)
    assert torch.equal(round_e2m1(grid), grid)
    assert torch.equal(round_e2m1(-grid), -grid)
    ties = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 1e9], dtype=dtype)
    expected = torch.tensor([0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0, 6.0], dtype=dtype)
    assert torch.equal(round_e2m1(ties), expected)


@given(st.floats(-7, 7, width=32))
def test_e2m1_is_the_nearest_code(x):
    nearest = min(abs(abs(x) - code) for code in E2M1)
    assert abs(round_e2m1(torch.tensor([x])).item() - x) == pytest.approx(nearest, abs=1e-7)


# --- accumulators


@pytest.mark.parametrize("dtype", WORKING)
def test_fp22_keeps_13_bits_and_cuts_toward_zero(dtype):
    kept, step = 1 + 2.0**-13, 2.0**-13
    x = torch.tensor([kept, kept + 0.99 * step, -(kept + 0.99 * step), 0.0, 3e38], dtype=dtype)
    found = truncate_fp22(x)
    assert found[:4].tolist() == [kept, kept, -kept, 0.0]
    assert 3e38 * (1 - step) <= found[4].item() <= 3e38


def test_fp16_sums_overflow():
    assert round_fp16(torch.tensor([1.0 + 2.0**-12, 65504.0, 70000.0])).tolist() == [
        1.0,
        65504.0,
        math.inf,
    ]


@pytest.mark.parametrize("dtype", WORKING)
def test_power_of_two_below(dtype):
    x = torch.tensor([1.0, 1.99, -2.0, 0.75, 0.0, 3e-30], dtype=dtype)
    assert power_of_two_below(x).tolist() == [1.0, 1.0, 2.0, 0.5, 0.0, 2.0**-99]


def test_round_float_does_not_write_to_its_input():
    x = random(100)
    before = x.clone()
    round_float(x, 3, -6, 448.0)
    assert torch.equal(x, before)


# --- scaled floats


@pytest.mark.parametrize(("kind", "limit"), [("e4m3", 448.0), ("e4m3", 2.25), ("e5m2", 57344.0)])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_fp8_channels_fill_their_range(kind, limit, size):
    v = random(1, 2, 64, 8) * size
    coded = encode_fp8_channels(v, kind, limit)
    assert coded.codes.float().abs().amax(2).eq(limit).all()
    relative = 2.0**-4 if kind == "e4m3" else 2.0**-3  # half a step of the mantissa
    smallest = 2.0**-10 if kind == "e4m3" else 2.0**-17  # half a subnormal step
    slack = (v.abs() * relative).maximum(coded.scale * smallest) * 1.001
    assert ((coded.decode() - v).abs() <= slack).all()


def test_nvfp4_divides_by_the_rounded_scale():
    # max 10 gives 10 / 6 = 1.667, which E4M3 writes as 1.625; 10 / 1.625 = 6.15 saturates at 6
    x = torch.tensor([10.0, 5.0, 1.0] + [0.0] * 13)
    codes, scale = encode_groups(x, FP4("nvfp4"))
    assert scale.unique().tolist() == [1.625]
    assert codes[:3].tolist() == [6.0, 3.0, 0.5]


def test_mxfp4_scale_is_the_power_of_two_of_the_ocp_rule():
    x = torch.zeros(3, 32)
    x[0, 0], x[1, 0], x[2, 0] = 4.0, 7.9, 0.3
    codes, scale = encode_groups(x, FP4("mxfp4"))
    assert scale[:, 0].tolist() == [1.0, 1.0, 2.0**-4]
    assert codes[:, 0].tolist() == [4.0, 6.0, 4.0]


@pytest.mark.parametrize("kind", ["nvfp4", "mxfp4"])
def test_fp4_groups_of_zeros_and_ragged_tails(kind):
    x = random(1, 1, 3, 45)
    x[:, :, 1] = 0
    fmt = FP4(kind, False)
    coded = encode_fp4(x, fmt, axis=-1)
    assert coded.decode().shape == x.shape
    assert coded.decode()[:, :, 1].eq(0).all()
    # the tail group is as if padded with zeros
    padded = torch.nn.functional.pad(x, (0, -45 % fmt.group))
    assert torch.equal(encode_fp4(padded, fmt, axis=-1).decode()[..., :45], coded.decode())


def test_fp4_groups_run_along_the_axis_that_is_contracted():
    v = random(1, 1, 64, 3)
    v[:, :, 16:32, 0] *= 1e-2  # a quiet group of keys in one channel keeps its shape
    coded = encode_fp4(v, FP4("nvfp4", True), axis=-2).decode()
    quiet = v[0, 0, 16:32, 0]
    assert (coded[0, 0, 16:32, 0] - quiet).norm() / quiet.norm() < 0.15


def test_fp4_second_level_saves_small_and_large_tensors():
    for size in (1e-4, 1e5):
        x = random(1, 1, 16, 64) * size
        with_level = encode_fp4(x, FP4("nvfp4", True), axis=-1).decode()
        without = encode_fp4(x, FP4("nvfp4", False), axis=-1).decode()
        assert (with_level - x).norm() / x.norm() < 0.12
        assert (without - x).norm() / x.norm() > 0.9
    assert SECOND_LEVEL == 2688.0


@pytest.mark.parametrize(
    ("largest", "terms", "scale"),
    [(1.0, 64, 1.0), (500.0, 64, 1.0), (1000.0, 64, 2.0), (1e4, 64, 32.0), (1e-4, 64, 2.0**-10)],
)
def test_fp16_values_are_kept_in_range_by_a_power_of_two(largest, terms, scale):
    v = random(1, 1, 64, 4)
    v = v / v.abs().max() * largest
    coded = encode_fp16(v, terms)
    assert coded.scale.item() == scale
    assert coded.codes.float().abs().max() * terms < 65504
    assert ((coded.decode() - v).abs() <= 2.0**-11 * v.abs() + 2.0**-24 * scale).all()


# --- smoothing


def test_means_of_huge_values_do_not_overflow():
    x = torch.full((1, 1, 1000, 4), 3e38)
    assert torch.equal(mean_of_rows(x), x[:, :, :1])
    assert torch.equal(mean_of_blocks(x, 128), x[:, :, :8])


def test_block_means_with_a_short_last_block():
    x = random(1, 2, 300, 8)
    means = mean_of_blocks(x, 128)
    assert means.shape == (1, 2, 3, 8)
    torch.testing.assert_close(means[:, :, 0], x[:, :, :128].mean(2))
    torch.testing.assert_close(means[:, :, 2], x[:, :, 256:].mean(2))
