"""The reference backend against dense float64 attention: sums, smoothing, lse, refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.golden import exact, run
from foveate import attention
from foveate.attn.formats import Float, Unsigned
from foveate.attn.layouts.blocks import Band
from foveate.attn.precision import Int8, Native, Sage2, Sage2pp, Sage3
from foveate.attn.precision.recipe import Recipe
from foveate.measure.error import cosine
from tests.attn.kit import PRECISIONS, causal_mask, cosine_floor, inputs


@pytest.fixture(params=PRECISIONS.values(), ids=PRECISIONS.keys())
def precision(request):
    return request.param


# --- native against float64

SHAPES = [  # B, Hq, Hk, Lq, Lk, D, Dv
    (1, 1, 1, 1, 1, 8, 8),
    (2, 4, 2, 5, 9, 40, 40),
    (1, 4, 1, 63, 200, 64, 96),
    (1, 3, 3, 129, 128, 96, 64),
    (2, 8, 2, 111, 65, 72, 80),
    (1, 2, 1, 1, 503, 128, 128),
    (1, 1, 1, 300, 130, 256, 256),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda s: "B{}-Hq{}-Hk{}-Lq{}-Lk{}-D{}-Dv{}".format(*s)
)
def test_native_errs_no_more_than_torch_in_the_same_dtype(shape, causal, dtype):
    q, k, v = (x.to(dtype) for x in inputs(*shape))
    seen = causal_mask(shape[3], shape[4]) if causal else torch.ones(shape[3], shape[4]).bool()
    out, lse = run(q, k, v, Native().recipe(shape[5]), band=Band(after=0) if causal else None)
    reference, reference_lse = exact(q, k, v, seen)
    peer = scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True).double()
    live = (reference_lse > -torch.inf)[..., None]
    slack = 2 * torch.where(live, peer - reference, 0.0).abs().max() + 1e-6
    assert out.dtype == dtype
    assert (out.double() - reference).abs().max() <= slack
    assert lse.dtype == torch.float32
    torch.testing.assert_close(lse.double(), reference_lse, rtol=1e-5, atol=2e-5)


def test_native_in_float64_is_exact_to_its_last_digits():
    q, k, v = (x.double() for x in inputs())
    out, _ = run(q, k, v, Native().recipe(32))
    assert out.dtype == torch.float64
    torch.testing.assert_close(out, exact(q, k, v)[0], rtol=1e-12, atol=1e-14)


# --- smoothing


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("smooth", list(itertools.product([False, True], repeat=3)), ids=str)
def test_smoothing_changes_nothing_when_nothing_is_quantised(smooth, causal):
    q, k, v = (x.double() for x in inputs(2, 4, 2, 140, 150))
    flags = dict(zip(("smooth_q", "smooth_k", "smooth_v"), smooth, strict=True))
    band = Band(after=0) if causal else None
    out, lse = run(q, k + 8, v + 3, Recipe(**flags, block_q=64, tile=64), band=band)
    seen = causal_mask(140, 150) if causal else None
    reference, reference_lse = exact(q, k + 8, v + 3, seen)
    torch.testing.assert_close(out, reference, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(lse, reference_lse.float())


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("accumulate", ["fp22+fp32", "fp22", "fp32"])
def test_smooth_v_is_honoured_in_every_mode(bits, accumulate):
    # the released kernels drop the flag in both two-level modes
    q, k, v = inputs(k_length=512)
    v = 8.5 + 0.5 * v
    reference, _ = exact(q, k, v)
    plain, smooth = (
        run(q, k, v, Sage2(qk_bits=bits, smooth_v=flag, accumulate=accumulate).recipe(32))[0]
        for flag in (False, True)
    )
    assert (smooth - reference).norm() < 0.5 * (plain - reference).norm()


def test_smooth_q_restores_its_mean_for_each_block_of_queries():
    q, k, v = inputs(1, 2, 1, 300, 200)
    q = q + 6 * torch.randn(1, 2, 1, 32, generator=torch.Generator().manual_seed(1))
    plain, smooth = (
        run(q, k, v, Sage2(qk_bits=4, smooth_q=flag).recipe(32))[0] for flag in (False, True)
    )
    reference, _ = exact(q, k, v)
    assert (smooth - reference).norm() < 0.4 * (plain - reference).norm()


# --- every precision against dense attention


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_every_precision_follows_dense_attention(precision, causal):
    q, k, v = inputs(2, 4, 2, 130, 300, 64, 48)
    out, lse = run(q, k, v, precision.recipe(64), band=Band(after=0) if causal else None)
    reference, reference_lse = exact(q, k, v, causal_mask(130, 300) if causal else None)
    assert cosine(out, reference) > cosine_floor(precision)
    assert (lse.double() - reference_lse).abs().max() < (
        0.02 if cosine_floor(precision) > 0.95 else 0.4
    )


def test_lse_is_that_of_the_unsmoothed_keys(precision):
    # an input-dtype product loses up to 0.09 here, float32 nothing
    q, k, v = inputs(1, 4, 2, 40, 200, 64, 64)
    k = k + 8 * torch.randn(1, 2, 1, 64, generator=torch.Generator().manual_seed(3))
    recipe = replace(precision.recipe(64), q=Float(), k=Float())
    _, lse = run(q, k, v, recipe)
    torch.testing.assert_close(lse.double(), exact(q, k, v)[1], rtol=1e-5, atol=1e-4)


def test_grouped_heads_equal_repeated_ones(precision):
    q, k, v = inputs(2, 6, 2, 70, 140)
    grouped = run(q, k, v, precision.recipe(32), band=Band(after=0))
    k, v = k.repeat_interleave(3, 1), v.repeat_interleave(3, 1)
    repeated = run(q, k, v, precision.recipe(32), band=Band(after=0))
    for a, b in zip(grouped, repeated, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_inputs_are_not_changed_and_runs_repeat(precision):
    q, k, v = inputs()
    before = [x.clone() for x in (q, k, v)]
    first, second = (run(q, k, v, precision.recipe(32)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, (q, k, v), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_strided_views_give_the_same_numbers(precision):
    q, k, v = inputs()
    packed = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    offset = [torch.cat([x, x], -1)[:, :, :, : x.shape[-1]] for x in (q, k, v)]
    expected = run(q, k, v, precision.recipe(32))[0]
    for views in (packed, offset):
        out, _ = run(*views, precision.recipe(32))
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)


def test_out_lies_in_memory_as_q_does():
    q, k, v = inputs()
    assert run(q, k, v, Recipe())[0].is_contiguous()
    q = q.transpose(1, 2).contiguous().transpose(1, 2)
    assert run(q, k, v, Recipe())[0].transpose(1, 2).is_contiguous()


# --- sums


def test_shards_of_keys_merge_to_the_whole(precision):
    q, k, v = inputs(k_length=384)
    recipe = precision.recipe(32)
    whole, whole_lse = run(q, k, v, recipe)
    out, lse = run(q, k[:, :, :128], v[:, :, :128], recipe)
    for start in (128, 256):
        more, more_lse = run(q, k[:, :, start : start + 128], v[:, :, start : start + 128], recipe)
        share = torch.sigmoid(more_lse - lse)[..., None]
        out, lse = out + share * (more - out), torch.logaddexp(lse, more_lse)
    loose = cosine_floor(precision) < 0.98
    assert cosine(out, whole) > (0.9 if loose else 0.995)
    assert (lse - whole_lse).abs().max() < (0.5 if loose else 0.02)


def test_dividing_by_the_quantised_sum_helps_when_v_has_an_offset():
    # the published comparison: 84.0 % and 92.1 % centred cosine; lse must not notice
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 1, 1024, 64, generator=generator) for _ in range(3))
    v = 8.5 + 0.5 * v
    found = {}
    for denominator in ("exact", "quantized"):
        out, lse = run(q, k, v, Sage2(denominator=denominator).recipe(64))
        found[denominator] = cosine(out - 8.5, exact(q, k, v)[0] - 8.5), lse
    assert found["exact"][0] < found["quantized"][0] - 0.04
    assert torch.equal(found["exact"][1], found["quantized"][1])


def test_int8_quantised_sum_equals_the_codes():
    # with constant v every weighting gives v, if the weights are divided by their own sum
    q, k, _ = inputs()
    v = torch.full((1, 1, 150, 24), 3.0)
    recipe = replace(Int8(smooth_v=False).recipe(32), denominator="quantized")
    torch.testing.assert_close(run(q, k, v, recipe)[0], torch.full((1, 2, 100, 24), 3.0))


def test_float16_chain_rounds_and_float32_does_not():
    q, k, v = inputs(k_length=512)
    recipe = Sage2pp().recipe(32)
    rounded = run(q, k, v, recipe)[0]
    wide = run(q, k, v, replace(recipe, accumulate="fp32"))[0]
    difference = (rounded - wide).norm() / wide.norm()
    assert 1e-5 < difference < 1e-3


def test_matmul_shortcuts_of_the_process_do_not_reach_the_reference():
    q, k, v = inputs()
    expected = run(q, k, v, Sage2().recipe(32))[0]
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = run(q, k, v, Sage2().recipe(32))[0]
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


# --- what has no meaning is refused


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(q=Unsigned(255, "tile")), "q cannot be written in"),
        (replace(Int8().recipe(64), accumulate="fp22"), "factors per tile need accumulate fp32"),
        (replace(Sage3().recipe(64), tile=40), "groups of 16 keys do not fill tiles of 40"),
    ],
    ids=["unsigned q", "factor in fp22", "ragged groups"],
)
def test_senseless_recipes_are_refused_with_a_reason(recipe, words):
    with pytest.raises(ValueError, match=words):
        run(*inputs(), recipe)


def test_autocast_does_not_reach_the_reference():
    """Under autocast a product of codes came back as bfloat16, and scores lost 16 bits."""
    q, k, v = inputs(q_length=64, k_length=64)
    plain = attention(q, k, v, precision="int8", backend="reference")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention(q, k, v, precision="int8", backend="reference"), plain)
