"""Who sees whom in the reference backend: bands, layouts, masks and empty rows."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from benchmarks.golden import exact, run
from foveate.attn.layouts.blocks import Band, BlockLayout
from foveate.attn.precision.recipe import Recipe
from foveate.measure.error import cosine
from tests.attn.kit import PRECISIONS, causal_mask, cosine_floor, inputs


@pytest.fixture(params=PRECISIONS.values(), ids=PRECISIONS.keys())
def precision(request):
    return request.param


BANDS = {
    "causal": Band(after=0),
    "window": Band(before=20, after=0),
    "window both sides": Band(before=10, after=7),
    "window and sink": Band(before=15, after=0, sink=4),
    "per head": Band(before=(5, None), after=0, sink=(3, 0)),
    "ahead only": Band(before=-1),
}


def band_mask(band: Band, q_length: int, k_length: int, heads: int) -> torch.Tensor:
    """The band's definition, pair by pair."""
    seen = torch.zeros(heads, q_length, k_length, dtype=torch.bool)
    for h, i, j in itertools.product(range(heads), range(q_length), range(k_length)):
        before, sink = (x[h] if isinstance(x, tuple) else x for x in (band.before, band.sink))
        distance = i + k_length - q_length - j
        near = (before is None or distance <= before) or j < sink
        seen[h, i, j] = near and (band.after is None or distance >= -band.after)
    return seen


@pytest.mark.parametrize("lengths", [(60, 60), (33, 150), (90, 40)], ids=str)
@pytest.mark.parametrize("band", BANDS.values(), ids=BANDS.keys())
def test_bands_are_their_definition(band, lengths):
    q, k, v = inputs(1, 2, 1, *lengths)
    out, lse = run(q, k, v, Recipe(tile=32), band=band)
    reference, reference_lse = exact(q, k, v, band_mask(band, *lengths, 2))
    torch.testing.assert_close(out.double(), reference, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(lse.double(), reference_lse, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [(16, 32), (128, 128), (7, 50), (64, 1)], ids=str)
@pytest.mark.parametrize("shared", ["none", "heads", "all"])
def test_a_layout_is_its_block_map(precision, block, shared):
    q, k, v = inputs(2, 4, 2, 130, 200)
    blocks = (-(-130 // block[0]), -(-200 // block[1]))
    rows = {"none": (2, 4), "heads": (2, 1), "all": (1, 1)}[shared]
    dense = torch.rand(*rows, *blocks, generator=torch.Generator().manual_seed(5)) < 0.5
    layout = replace(BlockLayout.from_dense(dense, block, (130, 200)), band=Band(before=90))
    pairs = dense.repeat_interleave(block[0], 2)[:, :, :130]
    pairs = pairs.repeat_interleave(block[1], 3)[..., :200]
    pairs = pairs & band_mask(Band(before=90), 130, 200, 1)
    recipe = precision.recipe(32)
    found = run(q, k, v, recipe, layout=layout, band=Band(after=0))
    expected = run(q, k, v, recipe, mask=pairs & causal_mask(130, 200))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_entries_of_a_layout_beyond_its_counts_are_ignored():
    q, k, v = inputs(q_length=40, k_length=96)
    counts = torch.tensor([[[2, 1]]], dtype=torch.int32)
    indices = torch.tensor([[[[0, 2, 2], [1, 0, 0]]]], dtype=torch.int32)
    layout = BlockLayout(counts, indices, (32, 32), (40, 96))
    seen = torch.zeros(40, 96, dtype=torch.bool)
    seen[:32, :32] = seen[:32, 64:] = seen[32:, 32:64] = True
    torch.testing.assert_close(
        run(q, k, v, Recipe(), layout=layout)[0].double(),
        exact(q, k, v, seen)[0],
        rtol=1e-5,
        atol=1e-5,
    )


MASKS = [(2, 4, 70, 90), (1, 1, 70, 90), (2, 1, 1, 90), (1, 4, 70, 1), (70, 90), (90,), (4, 1, 90)]


@pytest.mark.parametrize("shape", MASKS, ids=str)
@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_masks_broadcast(shape, kind):
    q, k, v = inputs(2, 4, 2, 70, 90)
    noise = torch.randn(*shape, generator=torch.Generator().manual_seed(2))
    mask, terms = (noise > 0, {"seen": noise > 0}) if kind == "bool" else (noise, {"bias": noise})
    out, lse = run(q, k, v, Recipe(tile=32), mask=mask)
    reference, reference_lse = exact(q, k, v, **terms)
    torch.testing.assert_close(out.double(), reference, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(lse.double(), reference_lse, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lowest", [-math.inf, torch.finfo(torch.float32).min, -1e9])
def test_additive_masks_may_hide_with_any_very_negative_number(precision, lowest):
    q, k, v = inputs(k_length=200)
    mask = torch.zeros(100, 200).masked_fill(~causal_mask(100, 200), lowest)
    additive = run(q, k, v, precision.recipe(32), mask=mask)
    banded = run(q, k, v, precision.recipe(32), band=Band(after=0))
    for a, b in zip(additive, banded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_rows_that_see_nothing_are_zero_and_minus_infinity(precision):
    q, k, v = inputs(q_length=60, k_length=200)
    seen = torch.rand(60, 200, generator=torch.Generator().manual_seed(0)) < 0.3
    seen[::3] = False
    seen[1, :150] = False  # a row whose first tiles are empty
    out, lse = run(q, k, v, precision.recipe(32), mask=seen)
    assert out[:, :, ::3].eq(0).all()
    assert lse[:, :, ::3].eq(-torch.inf).all()
    assert cosine(out, exact(q, k, v, seen)[0]) > cosine_floor(precision)
    assert out.isfinite().all()


def test_queries_before_the_first_key_see_nothing_under_end_alignment(precision):
    q, k, v = inputs(q_length=20, k_length=5)
    out, lse = run(q, k, v, precision.recipe(32), band=Band(after=0))
    assert out[:, :, :15].eq(0).all()
    assert lse[:, :, :15].eq(-torch.inf).all()
    assert lse[:, :, 15:].isfinite().all()


def test_no_keys_at_all(precision):
    q, k, v = inputs(k_length=0)
    out, lse = run(q, k, v, precision.recipe(32))
    assert out.eq(0).all()
    assert lse.eq(-torch.inf).all()
