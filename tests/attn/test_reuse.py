"""Reuse: layouts serve again while attention looks at the same places, and not longer."""

from __future__ import annotations

import pytest
import torch

from foveate import Dense, Hilbert, Reuse, Sparge, TopK, attention, plan
from foveate.attn.reuse import glance
from foveate.attn.sampling import spread

from .kit import causal_mask, inputs

EXACT = {"precision": "native", "backend": "reference"}
SIZES = {"batch": 2, "q_heads": 4, "kv_heads": 2, "q_length": 256, "k_length": 256}
BLOCK = (32, 16)


def clustered(seed=0, **sizes):
    """Inputs whose attention is far from even: keys of 8 places, and queries that look for one."""
    q, k, v = inputs(seed=seed, **{**SIZES, **sizes})
    place = torch.arange(k.shape[2]) * 8 // k.shape[2]
    centres = 3 * torch.randn(8, k.shape[3], generator=torch.Generator().manual_seed(9))
    k = k + centres[place]
    q = q + centres[torch.arange(q.shape[2]) * 8 // q.shape[2]].flip(0)
    return q, k, v


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
def test_equal_inputs_choose_once(causal):
    q, k, v = clustered()
    reuse = Reuse(TopK(3, BLOCK), drift=0.0)
    call = {"causal": causal, **EXACT}
    want = attention(q, k, v, select=TopK(3, BLOCK), **call)
    for _ in range(3):
        assert torch.equal(reuse.attention("layer 0", q, k, v, **call), want)
    assert (reuse.renewals, reuse.reuses) == (1, 2)
    assert reuse.drifts["layer 0"] == 0.0


def test_small_changes_keep_the_layout_and_large_ones_do_not():
    torch.manual_seed(0)
    q, k, _ = clustered()
    reuse = Reuse(TopK(3, BLOCK), drift=0.1)
    first = reuse.layout("a", q, k, backend="reference")
    near = reuse.layout("a", q + 0.01 * torch.randn_like(q), k, backend="reference")
    assert near is first
    assert 0 < reuse.drifts["a"] < 0.1
    far = reuse.layout("a", q.flip(2), k, backend="reference")
    assert far is not first
    assert reuse.drifts["a"] > 0.5
    assert reuse.layout("a", q.flip(2), k, backend="reference") is far  # compared with the new one
    assert (reuse.renewals, reuse.reuses) == (2, 2)


def test_drift_in_one_head_is_enough():
    q, k, _ = clustered()
    reuse = Reuse(TopK(3, BLOCK), drift=0.1)
    first = reuse.layout("a", q, k)
    q[1, 2] = q[1, 2].flip(0)
    assert reuse.layout("a", q, k) is not first


def test_keys_have_layouts_of_their_own():
    q, k, _ = clustered()
    reuse = Reuse(TopK(3, BLOCK))
    first, second = reuse.layout("a", q, k), reuse.layout(("b", 1), q.flip(2), k)
    assert not torch.equal(first.indices, second.indices)
    assert reuse.layout("a", q, k) is first
    assert reuse.layout(("b", 1), q.flip(2), k) is second
    reuse.forget("a")
    assert reuse.layout("a", q, k) is not first
    assert reuse.layout(("b", 1), q.flip(2), k) is second
    reuse.forget()
    assert reuse.layout(("b", 1), q.flip(2), k) is not second
    assert "2 reuses" not in repr(Reuse(TopK(3, BLOCK)))
    assert f"{reuse.reuses} reuses, {reuse.renewals} renewals, 1 layouts kept" in repr(reuse)


def test_every_bounds_the_life_of_a_layout():
    q, k, _ = clustered()
    reuse = Reuse(TopK(3, BLOCK), every=2)
    seen = [reuse.layout("a", q, k) for _ in range(7)]
    assert seen[0] is seen[1] is seen[2]
    assert seen[3] is seen[5] is not seen[2]
    assert seen[6] is not seen[5]
    assert (reuse.renewals, reuse.reuses) == (3, 4)


@pytest.mark.parametrize(
    "change",
    [{"q_length": 192}, {"k_length": 128, "q_length": 128}, {"batch": 1}],
    ids=["queries", "keys", "batch"],
)
def test_other_sizes_choose_anew(change):
    reuse = Reuse(TopK(3, BLOCK), drift=1.0)
    reuse.layout("a", *clustered()[:2])
    q, k, v = clustered(**change)
    out = reuse.attention("a", q, k, v, **EXACT)
    assert torch.equal(out, attention(q, k, v, select=TopK(3, BLOCK), **EXACT))
    assert reuse.renewals == 2


def test_another_rule_chooses_anew():
    q, k, _ = clustered()
    reuse = Reuse(TopK(3, BLOCK), drift=1.0)
    reuse.layout("a", q, k, causal=True)
    reuse.layout("a", q, k, causal=False)
    assert (reuse.renewals, reuse.reuses) == (2, 0)


def test_order_filter_and_correction_are_honoured():
    q, k, v = clustered(kv_heads=4, q_length=64, k_length=64)
    select = Sparge(keep=4, block=(8, 4), order=Hilbert((4, 4, 4)), skip=2.0, correct=True)
    reuse = Reuse(select)
    want = attention(q, k, v, select=select, return_lse=True, **EXACT)
    for _ in range(2):
        out, lse = reuse.attention(0, q, k, v, return_lse=True, **EXACT)
        assert torch.equal(out, want[0])
        assert torch.equal(lse, want[1])
    assert reuse.reuses == 1


@pytest.mark.parametrize(
    "select",
    [Sparge(keep=4, block=(8, 4), order=Hilbert((4, 4, 4))), TopK(2, (8, 4), correct=True)],
    ids=["order", "correct"],
)
def test_a_layout_alone_would_not_do(select):
    q, k, _ = clustered(q_length=64, k_length=64)
    with pytest.raises(ValueError, match=r"cannot carry; use Reuse.attention"):
        Reuse(select).layout(0, q, k)


def test_dense_is_served_and_keeps_nothing():
    q, k, v = clustered()
    for select in (Dense(), TopK(100, BLOCK)):
        reuse = Reuse(select)
        assert reuse.layout("a", q, k) is None
        out = reuse.attention("a", q, k, v, **EXACT)
        assert torch.equal(out, attention(q, k, v, **EXACT))
        assert reuse.renewals == reuse.reuses == 0


def test_a_mask_passes_through():
    q, k, v = clustered()
    torch.manual_seed(0)
    mask = torch.rand(256, 256) > 0.3
    reuse = Reuse(TopK(3, BLOCK))
    want = attention(q, k, v, select=TopK(3, BLOCK), mask=mask, **EXACT)
    assert torch.equal(reuse.attention(0, q, k, v, mask=mask, **EXACT), want)
    assert torch.equal(reuse.attention(0, q, k, v, mask=mask, **EXACT), want)
    assert reuse.reuses == 1


@pytest.mark.parametrize("lengths", [(256, 256), (100, 256), (256, 100)], ids=str)
def test_a_glance_sees_no_future_and_sums_to_one(lengths):
    q, k, v = clustered(q_length=lengths[0], k_length=lengths[1])
    seen = glance(q, k, plan(q, k, v, causal=True, **EXACT))
    rows = spread(4, lengths[0], 32, q.device)
    sees = causal_mask(*lengths).any(1)[rows].expand(2, -1, -1)
    assert torch.allclose(seen.sum(-1), sees.float())
    later = k.clone()
    later[:, :, lengths[1] // 2 :] = 50
    now = glance(q, later, plan(q, k, v, causal=True, **EXACT))
    early = 4 if lengths[0] == lengths[1] else 0  # these queries stand in the first half
    assert torch.equal(seen[:, :, :early], now[:, :, :early])
    assert not torch.equal(seen, now)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"select": 3}, TypeError, "select is int; expected a selection"),
        ({"select": "nothing"}, ValueError, 'unknown select "nothing"'),
        ({"select": TopK(2), "drift": 2}, ValueError, "drift is 2; expected a share"),
        ({"select": TopK(2), "drift": None}, ValueError, "drift is None"),
        ({"select": TopK(2), "every": 0}, ValueError, "every is 0; expected an int"),
        ({"select": TopK(2), "every": 1.5}, ValueError, "every is 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Reuse(**arguments)
