"""The second filter of the reference, against the rule written out one group of rows at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from foveate import BlockLayout, TopK, Window, attention, plan
from foveate.attn.backends import backend_named
from foveate.attn.backends.reference.attend import State
from foveate.attn.backends.reference.second_filter import left_out
from foveate.attn.select import Dense

from .kit import PRECISIONS, inputs

REFERENCE = backend_named("reference")
LOG2E = 1 / math.log(2)


def run(q, k, v, skip, *, layout=None, rows=8, causal=True, precision="native", tally=None):
    request = plan(q, k, v, causal=causal, precision=precision, backend="reference").request
    request = replace(request, skip=skip, skip_rows=rows)
    return REFERENCE.attend(REFERENCE.encode(q, k, v, request), request, layout, tally=tally)


def by_hand(q, k, v, skip, rows, tile=128, causal=True):
    """The loop of SpargeAttn, one head, one group of rows and one tile at a time, in float64.

    Returns out, lse, and how many visible pairs were looked at and left out, `[B, Hq, 2]`.
    """
    batch, heads, length, dim = q.shape
    keys = k.shape[2]
    out, lse = torch.zeros(batch, heads, length, v.shape[3], dtype=torch.float64), None
    lse = torch.full((batch, heads, length), -math.inf, dtype=torch.float64)
    tally = torch.zeros(batch, heads, 2, dtype=torch.int64)
    for b in range(batch):
        for h in range(heads):
            kv = h * k.shape[1] // heads
            limit = skip[h] if isinstance(skip, tuple) else skip
            s = q[b, h].double() @ k[b, kv].double().T * dim**-0.5 * LOG2E
            if causal:
                ahead = torch.arange(keys) > torch.arange(length)[:, None] + keys - length
                s = s.masked_fill(ahead, -math.inf)
            for first in range(0, length, rows):
                group = s[first : first + rows]
                m = torch.full((len(group),), -math.inf, dtype=torch.float64)
                weights = torch.zeros_like(group)
                for start in range(0, keys, tile):
                    part = group[:, start : start + tile]
                    sees = part.isfinite().any(1)
                    local = part.amax(1)
                    new = torch.maximum(m, local)
                    tally[b, h, 0] += int(part.isfinite().sum())
                    if all(local[r] - new[r] <= -limit for r in range(len(group)) if sees[r]):
                        tally[b, h, 1] += int(part.isfinite().sum())
                        continue
                    m = new
                    weights[:, start : start + tile] = part.exp2()
                total = weights.sum(1)
                at = slice(first, first + len(group))
                lse[b, h, at] = total.log()
                out[b, h, at] = weights @ v[b, kv].double() / total.clamp(min=1e-300)[:, None]
    return out, lse, tally


def peaked(seed=0, **sizes):
    """Inputs whose scores differ much between tiles, so that some tiles do not matter."""
    q, k, v = inputs(seed=seed, **sizes)
    strength = torch.tensor([4.0, 0.1, 2.0]).repeat_interleave(128)
    return 2 * q, k * strength[: k.shape[2], None], v


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("rows", [1, 8, 16])
def test_rows_skip_as_the_rule_says(causal, rows):
    q, k, v = peaked(batch=2, q_heads=4, kv_heads=2, q_length=117, k_length=300)
    skip = (2.0, 4.0, 8.0, 300.0)
    tally = torch.zeros(2, 4, 2, dtype=torch.int64)
    out, lse = run(*(x.double() for x in (q, k, v)), skip, rows=rows, causal=causal, tally=tally)
    exact, exact_lse, counted = by_hand(q, k, v, skip, rows, causal=causal)
    assert torch.allclose(out, exact, atol=1e-12)
    assert torch.allclose(lse.double(), exact_lse, rtol=1e-6)  # lse is float32
    assert torch.equal(tally, counted)
    shares = (tally[..., 1] / tally[..., 0]).mean(0)
    assert shares[0] > shares[2] > shares[3] == 0  # it did something, and less of it further on


def test_tally_adds_to_what_is_there():
    q, k, v = peaked(q_length=64, k_length=256)
    tally = torch.zeros(1, 2, 2, dtype=torch.int64)
    run(q, k, v, 3.0, tally=tally)
    once = tally.clone()
    run(q, k, v, 3.0, tally=tally)
    assert once[..., 1].sum() > 0
    assert torch.equal(tally, 2 * once)


def test_a_larger_threshold_leaves_out_a_part_of_what_a_smaller_one_does():
    torch.manual_seed(1)
    s = 20 * torch.randn(1, 2, 40, 128)
    s[:, :, 20:30] = -math.inf
    top = (s.amax(-1, keepdim=True) + 30 * torch.rand(1, 2, 40, 1)).clamp(min=-1e30)
    request = plan(*inputs(), backend="reference").request
    kept_before = None
    for skip in (1.0, 5.0, 10.0, 20.0, 40.0):
        drop = left_out(s, top, replace(request, skip=skip, skip_rows=4), slice(3, 43))
        if kept_before is not None:
            assert not (drop & kept_before).any()
        kept_before = ~drop
    assert kept_before.any()


@pytest.mark.parametrize("skip", [2.0, 5.0, 10.0])
def test_lost_mass_is_bounded(skip):
    """A tile that is left out holds at most t · 2^−skip of the row's largest term."""
    q, k, v = peaked(q_length=128, k_length=300, seed=3)
    tally = torch.zeros(1, 2, 2, dtype=torch.int64)
    _, all_keys = run(q, k, v, None, causal=False)
    _, kept = run(q, k, v, skip, causal=False, tally=tally)
    lost = 1 - (kept - all_keys).double().exp()
    assert lost.min() > -1e-5
    # the largest term is at most the whole row, and at most 2 of the 3 tiles can be left out
    assert lost.max() <= 2 * 128 * 2.0**-skip + 1e-5


def test_a_threshold_that_nothing_passes_changes_no_bit():
    q, k, v = peaked(q_length=100, k_length=300)
    for one, other in zip(run(q, k, v, 1e4), run(q, k, v, None), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", PRECISIONS)
def test_every_precision_can_skip(name):
    q, k, v = peaked(q_length=64, k_length=300)
    tally = torch.zeros(1, 2, 2, dtype=torch.int64)
    out, lse = run(q, k, v, 6.0, precision=PRECISIONS[name], causal=False, tally=tally)
    exact, _, counted = by_hand(q, k, v, 6.0, 8, causal=False)
    assert tally[..., 1].sum() > 0
    # scores in few bits cross the threshold now and then
    assert (tally - counted).abs().sum() <= 0.1 * counted[..., 0].sum()
    cosine = torch.nn.functional.cosine_similarity(out.double().flatten(), exact.flatten(), dim=0)
    assert cosine > 0.85  # the scores are far apart here, which 4 bits write coarsely (0.897)
    assert lse.isfinite().all()


def test_rows_that_see_nothing_do_not_object_and_stay_empty():
    """Queries before the first key share a group with others: they must neither keep a tile nor
    divide 0 by 0."""
    q, k, v = peaked(q_length=300, k_length=150)
    out, lse = run(*(x.double() for x in (q, k, v)), 4.0, rows=64)
    exact, exact_lse, _ = by_hand(q, k, v, 4.0, 64)
    assert torch.equal(lse[..., :150], torch.full((1, 2, 150), -math.inf))
    assert not out[:, :, :150].any()
    assert torch.allclose(out, exact, atol=1e-12)
    assert torch.allclose(lse[..., 150:].double(), exact_lse[..., 150:], rtol=1e-6)


def test_nan_scores_are_not_hidden():
    q, k, v = peaked(q_length=32, k_length=300)
    k[0, 0, 140] = math.nan
    out, _ = run(q, k, v, 0.5, causal=False)
    assert out.isnan().all()


def test_nan_values_of_a_tile_that_is_left_out_do_not_show():
    q, k, v = peaked(q_length=32, k_length=256)
    k[:, :, :128] *= 20
    k[:, :, 128:] = 0
    clean, _ = run(q, k, v, 10.0, causal=False)
    v[:, :, 200] = math.nan
    out, _ = run(q, k, v, 10.0, causal=False)
    assert torch.equal(out, clean)


@pytest.mark.parametrize("select", [Dense, lambda **x: Window(100, **x), lambda **x: TopK(2, **x)])
def test_any_selection_takes_a_threshold(select):
    q, k, v = peaked(q_length=300, k_length=300)
    call = {"causal": True, "precision": "native", "backend": "reference"}
    plain = attention(q, k, v, select=select(), **call)
    same = attention(q, k, v, select=select(skip=60.0), **call)
    other = attention(q, k, v, select=select(skip=1.0), **call)
    assert torch.equal(plain, same)
    assert not torch.equal(plain, other)


def test_a_layout_carries_its_own_threshold():
    q, k, v = peaked(q_length=256, k_length=256)
    every = BlockLayout.from_dense(torch.ones(1, 1, 2, 2, dtype=torch.bool), (128, 128), (256, 256))
    call = {"causal": True, "precision": "native", "backend": "reference"}
    out = attention(q, k, v, select=replace(every, skip=3.0), **call)
    assert torch.equal(out, attention(q, k, v, select=Dense(skip=3.0), **call))


def test_state_is_not_part_of_the_filter():
    """Skipping is "do nothing": a group that skips has raised no maximum, so nothing is pending."""
    s = torch.tensor([[[[-30.0, -40.0]]]])
    state = State(*(torch.zeros(1, 1, 1, 1) for _ in range(4)))
    request = replace(plan(*inputs(), backend="reference").request, skip=20.0)
    top = torch.maximum(state.top, s.amax(-1, keepdim=True))
    assert left_out(s, top, request, slice(0, 1)).all()
    assert torch.equal(top, state.top)
