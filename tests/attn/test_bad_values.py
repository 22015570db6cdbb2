"""Values that break careless code: zeros, huge, tiny, NaN and infinity."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.golden import exact, run
from foveate.attn.layouts.blocks import Band
from foveate.attn.precision.recipe import Recipe
from foveate.measure.error import cosine
from tests.attn.kit import PRECISIONS, cosine_floor, inputs, name_of


@pytest.fixture(params=PRECISIONS.values(), ids=PRECISIONS.keys())
def precision(request):
    return request.param


def test_one_key_is_copied(precision):
    # its smoothed key is zero, so every scale of K is that of an empty group
    q, k, v = inputs(k_length=1)
    out, lse = run(q, k, v, precision.recipe(32))
    step = {"sage3": 0.1, "sage3-mxfp4": 0.25}.get(name_of(precision), 0.05)
    assert (out - v).abs().max() <= step * v.abs().max()
    torch.testing.assert_close(lse.double(), exact(q, k, v)[1], rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("which", ["q", "k", "v", "all"])
def test_zeros_are_harmless(precision, which):
    tensors = dict(zip("qkv", inputs(), strict=True))
    for name in "qkv" if which == "all" else which:
        tensors[name] = torch.zeros_like(tensors[name])
    out, lse = run(*tensors.values(), precision.recipe(32))
    assert out.isfinite().all()
    assert lse.isfinite().all()
    reference, _ = exact(*tensors.values())
    assert (out - reference).abs().max() < 0.3


@pytest.mark.parametrize("size", [1e-30, 1e-4, 1e4, 1e30])
def test_v_of_any_size_keeps_its_accuracy(precision, size):
    q, k, v = inputs()
    out, _ = run(q, k, v * size, precision.recipe(32))
    reference, _ = exact(q, k, v * size)
    assert cosine(out / size, reference / size) > cosine_floor(precision)


@pytest.mark.parametrize("size", [1e-20, 30.0, 1e4])
def test_scores_of_any_size_stay_finite(precision, size):
    q, k, v = inputs()
    out, lse = run(q * size, k * size, v, precision.recipe(32))
    assert out.isfinite().all()
    assert lse.isfinite().all()
    assert out.abs().max() <= v.abs().max() * 1.2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_query_spoils_its_row_only(bad):
    q, k, v = inputs()
    expected, _ = run(q, k, v, Recipe())
    q[0, 1, 7, 3] = bad
    out, lse = run(q, k, v, Recipe())
    assert lse[0, 1, 7].isnan() or lse[0, 1, 7].isinf()
    out[0, 1, 7] = expected[0, 1, 7]
    assert torch.equal(out, expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_key_or_value_is_seen_only_by_those_who_see_it(bad):
    q, k, v = inputs(1, 2, 1, 150, 150)
    expected, _ = run(q, k, v, Recipe(), band=Band(after=0))
    v[0, 0, 140, 2] = bad
    out, _ = run(q, k, v, Recipe(), band=Band(after=0))
    assert not out[:, :, 140:, 2].isfinite().any()
    assert torch.equal(out[:, :, :140], expected[:, :, :140])
    k[0, 0, 140] = math.nan
    out, _ = run(q, k, v, Recipe(), band=Band(after=0))
    assert out[:, :, 140:].isnan().all()
    assert torch.equal(out[:, :, :140], expected[:, :, :140])


def test_infinite_values_add_as_ieee_says():
    q, k, v = inputs(1, 1, 1, 4, 6)
    v[0, 0, 1, 0], v[0, 0, 2, 1], v[0, 0, 3, 1] = math.inf, math.inf, -math.inf
    out, _ = run(q, k, v, Recipe())
    assert out[..., 0].eq(math.inf).all()
    assert out[..., 1].isnan().all()
    assert out[..., 2:].isfinite().all()


@pytest.mark.parametrize("which", ["q", "k", "v"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_values_never_leave_their_head(precision, which, bad):
    tensors = dict(zip("qkv", inputs(2, 2, 2), strict=True))
    expected, _ = run(*tensors.values(), precision.recipe(32))
    tensors[which][0, 1, 5, 3] = bad
    out, _ = run(*tensors.values(), precision.recipe(32))
    assert not out[0, 1].isfinite().all()
    for b, h in ((0, 0), (1, 0), (1, 1)):
        assert torch.equal(out[b, h], expected[b, h])
