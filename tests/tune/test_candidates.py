"""Candidates: what is judged offline is what the engine does."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from foveate import Sparge, TopK, XAttention, attention
from foveate.tune.candidates import Grid, judge, visits_of

from .conftest import structured

THRESHOLDS = (0.3, 0.6, 0.8, 0.9, 0.97, 1.0)
SHARES = (0.3, 0.1, 0.05, 0.02, 0.01, 0.001)
GRIDS = {
    "sparge": Grid(Sparge(), THRESHOLDS),
    "sparge judged": Grid(Sparge(), THRESHOLDS, (None, 0.05, 0.3)),
    "sparge exclusive": Grid(Sparge(rule="exclusive", sink=True), THRESHOLDS),
    "sparge corrected": Grid(Sparge(correct=True), THRESHOLDS, (None, 0.1)),
    "xattention": Grid(XAttention(block=64), THRESHOLDS),
    "sparge shares": Grid(Sparge(), SHARES, (None, 0.1), "share"),
    "xattention shares": Grid(XAttention(block=64), SHARES, knob="share"),
    "xattention corrected": Grid(XAttention(stride=8, block=64, correct=True), THRESHOLDS),
}


def engine(seen, select):
    """Output of the reference, `[1, Hq, L, D]`."""
    return attention(
        seen.q,
        seen.k,
        seen.v,
        select=select,
        precision="native",
        causal=seen.causal,
        scale=seen.scale,
        backend="reference",
    )


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "whole"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_offline_errors_are_those_of_the_engine(grid, causal):
    seen = structured(length=500, causal=causal)
    found = judge(seen, grid, rows=10**6, backend="reference")
    exact = engine(seen, "dense")
    for candidate in range(0, len(grid.candidates), 2):
        out = engine(seen, grid.at(candidate))
        error = (out - exact).abs().sum((2, 3))[0]
        torch.testing.assert_close(found.error[candidate], error, rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_heads_with_their_own_candidates_do_what_each_was_judged_for(grid):
    seen = structured(length=500)
    found = judge(seen, grid, rows=10**6, backend="reference")
    choice = [0, len(grid.candidates) - 2, 3, 2]
    error = (engine(seen, grid.mixed(choice)) - engine(seen, "dense")).abs().sum((2, 3))[0]
    expected = torch.stack([found.error[c, head] for head, c in enumerate(choice)])
    torch.testing.assert_close(error, expected, rtol=2e-3, atol=2e-2)


def test_higher_thresholds_visit_more():
    visits, allowed, _ = visits_of(structured(), GRIDS["sparge"])
    for lower, higher in pairwise(visits):
        assert not (lower & ~higher).any()
    assert torch.equal(visits[-1], allowed.expand_as(visits[-1]))


def test_all_measures_agree_at_the_ends():
    found = judge(structured(), GRIDS["xattention"])
    assert found.density[-1].min() == 1
    assert found.error[-1].max() / found.size.min() < 1e-5
    assert found.retained[-1].min() > 0.9999
    assert (found.density[0] < 0.6).all()
    assert (found.error[0] > 0).all()
    # the mean of the heads' parts is the relative L1 of the whole output
    whole = found.error.sum(1) / found.size.sum()
    torch.testing.assert_close(found.share.mean(1), whole)


def test_short_input_is_served_dense_for_every_candidate():
    found = judge(structured(length=100), GRIDS["sparge"])
    assert found.density.min() == 1
    assert found.error.max() / found.size.min() < 1e-5


def test_what_cannot_be_tuned_is_named():
    with pytest.raises(ValueError, match=r'select "topk" has no thresholds to tune; expected one'):
        Grid(TopK(4))
    with pytest.raises(ValueError, match='"xattention" has no such judge'):
        Grid(XAttention(), likeness=(None, 0.2))
    with pytest.raises(ValueError, match="heads that share a map"):
        Grid(XAttention(group="mean"))
    with pytest.raises(ValueError, match="skip is set"):
        Grid(Sparge(skip=10.0))
