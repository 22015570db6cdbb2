"""INT8 and INT4: scale groups, ties, and the groups that have nothing in them."""

from __future__ import annotations

import math

import pytest
import torch

from foveate.attn.formats.fp8 import encode_fp8_channels, encode_fp8_rows
from foveate.attn.formats.granularity import key_groups, query_groups
from foveate.attn.formats.integer import (
    encode_channels,
    encode_channels_and_tiles,
    encode_rows,
    encode_tiles,
)
from tests.attn.kit import random


@pytest.mark.parametrize("limit", [127, 7])
def test_integers_reach_their_limit_and_err_by_half_a_step(limit):
    x = random(2, 3, 50, 16)
    rows, count = query_groups(50, "token", 128, 32)
    q = encode_rows(x, rows, count, limit)
    assert q.codes.dtype == torch.int8
    assert q.codes.abs().amax(-1).eq(limit).all()  # each row's largest value takes the largest code
    assert ((q.decode() - x).abs() <= q.row_scale() * 0.5001).all()


def test_integer_ties_go_to_even():
    # scale is 1, so these are ties
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 127.0]).reshape(1, 1, 1, 6)
    q = encode_rows(x, torch.zeros(1, dtype=torch.long), 1, 127)
    assert q.codes.flatten().tolist() == [0, 2, 2, 0, -2, 127]


@pytest.mark.parametrize("granularity", ["tensor", "block", "warp", "thread", "token"])
def test_all_zero_groups_have_codes_zero_and_finite_scales(granularity):
    x = torch.zeros(1, 2, 70, 8)
    q = encode_rows(x, *key_groups(70, granularity, 64), 127)
    assert q.codes.eq(0).all()
    assert q.scale.isfinite().all()
    assert q.decode().eq(0).all()


def test_small_groups_are_not_coarsened():
    # adding 1e-7 to the scale instead of flooring it would cost most of the bits here
    x = random(1, 1, 64, 32) * 1e-6
    q = encode_rows(x, *query_groups(64, "token", 128, 32), 127)
    assert ((q.decode() - x).abs() / x.abs().amax(-1, keepdim=True)).max() < 0.5001 / 127


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_value_spoils_its_group_only(bad):
    x = random(1, 1, 8, 4)
    x[0, 0, 3, 1] = bad
    decoded = encode_rows(x, *query_groups(8, "token", 128, 32), 127).decode()
    assert decoded[0, 0, 3].isnan().all()
    assert decoded[0, 0, [0, 1, 2, 4, 5, 6, 7]].isfinite().all()


def test_thread_groups_are_those_of_the_tensor_core_fragment():
    # the paper: lane t owns rows t // 4 and t // 4 + 8, columns 2 (t mod 4) and the next one
    rows, count = query_groups(128, "thread", 128, 32)
    assert count == 32
    assert rows[:32].tolist() == [*range(8)] * 4
    assert (rows[32], rows[127]) == (8, 31)
    columns, count = key_groups(128, "thread", 64)
    assert count == 8
    assert columns[:16].tolist() == [0, 0, 1, 1, 2, 2, 3, 3] * 2
    assert (columns[64], columns[127]) == (4, 7)


@pytest.mark.parametrize(
    ("granularity", "per_query_group", "per_key_group"),
    [
        ("tensor", 256, 256),
        ("block", 128, 64),
        ("warp", 32, 64),
        ("thread", 4, 16),
        ("token", 1, 1),
    ],
)
def test_group_sizes(granularity, per_query_group, per_key_group):
    rows, count = query_groups(256, granularity, 128, 32)
    assert rows.bincount(minlength=count).tolist() == [per_query_group] * count
    columns, count = key_groups(256, granularity, 64)
    assert columns.bincount(minlength=count).tolist() == [per_key_group] * count


def test_channel_granularity_is_refused_for_rows():
    with pytest.raises(
        ValueError, match='"channel" is not one for Q and K; expected tensor, block'
    ):
        query_groups(4, "channel", 128, 32)


def test_channel_scales():
    v = random(1, 2, 90, 5) * torch.tensor([1e-3, 1.0, 100.0, 0.0, 1.0])
    coded = encode_channels(v)
    assert coded.scale.shape == (1, 2, 1, 5)
    assert ((coded.decode() - v).abs() <= coded.scale * 0.5001).all()


def test_tile_scales_keep_the_bits_of_a_quiet_tile():
    v = random(1, 1, 300, 16)
    v[:, :, :128] *= 1e-3
    v[:, :, 256:] = 0
    both, plain = encode_channels_and_tiles(v, 128), encode_channels(v)
    assert both.tile_scale.shape == (1, 1, 3, 16)
    assert both.codes[:, :, 256:].eq(0).all()
    quiet = v[:, :, :128]
    error = (both.decode()[:, :, :128] - quiet).norm() / quiet.norm()
    assert error < 0.02 < (plain.decode()[:, :, :128] - quiet).norm() / quiet.norm()


def test_a_channel_of_zeros_is_zero():
    v = random(1, 1, 40, 4)
    v[..., 2] = 0
    for coded in (encode_channels(v), encode_channels_and_tiles(v, 32), encode_fp8_channels(v)):
        assert coded.decode()[..., 2].eq(0).all()


def test_one_scale_for_each_tile_of_keys():
    v = torch.arange(1.0, 1 + 5 * 4).view(1, 1, 5, 4)
    v[0, 0, 4] = 0
    found = encode_tiles(v, 2)
    assert found.tile_scale.shape == (1, 1, 3, 1)
    torch.testing.assert_close(found.tile_scale[0, 0, :2, 0] * 127, torch.tensor([8.0, 16.0]))
    assert found.codes[0, 0, 1, 3] == found.codes[0, 0, 3, 3] == 127
    assert not found.codes[0, 0, 4].any()
    torch.testing.assert_close(found.decode(), v, rtol=0, atol=16 / 254)


def test_fp8_rows_share_a_scale_by_group():
    x = torch.tensor([[1.0, -2.0], [0.5, 4.0], [0.0, 1e-3], [0.0, 0.0]]).view(1, 1, 4, 2)
    found = encode_fp8_rows(x, torch.tensor([0, 0, 1, 2]), 3, "e4m3", 448.0)
    torch.testing.assert_close(found.scale[0, 0, :2, 0] * 448, torch.tensor([4.0, 1e-3]))
    assert found.codes.float().abs().max() == 448
    torch.testing.assert_close(found.decode(), x, rtol=2**-4, atol=0)
