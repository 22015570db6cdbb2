"""Mean correction of skipped blocks, against softmax over the visited keys and the pseudo keys."""

from __future__ import annotations

import math

import pytest
import torch

from foveate import Band, BlockLayout, TopK, Window, attention, plan
from foveate.attn.correct import skipped_whole, whole_blocks
from foveate.attn.layouts.bands import band_mask
from foveate.attn.layouts.rules import pool_blocks
from foveate.attn.select import Dense

from .kit import causal_mask, inputs

BLOCK = (32, 16)


def by_hand(q, k, v, select, causal):
    """One softmax over the visited keys and one pseudo key for each skipped whole block."""
    kind = plan(q, k, v, select=select, causal=causal, precision="native", backend="reference")
    layout = select.layout(q, k, kind.request, kind.kernels)
    groups, scale = q.shape[1] // k.shape[1], q.shape[3] ** -0.5
    bq, bk = layout.block
    seen = layout.to_mask()
    rule = causal_mask(q.shape[2], k.shape[2]) if causal else torch.ones(q.shape[2], k.shape[2]) > 0
    seen = (seen & rule).expand(q.shape[0], q.shape[1], -1, -1)
    visited = layout.to_dense().expand(q.shape[0], q.shape[1], -1, -1)
    means = [pool_blocks(x, bk).repeat_interleave(groups, 1) for x in (k, v)]
    keys, values = (x.repeat_interleave(groups, 1) for x in (k, v))
    sizes = torch.tensor([min(bk, k.shape[2] - at) for at in range(0, k.shape[2], bk)])
    pseudo = torch.full((*seen.shape[:3], len(sizes)), -math.inf, dtype=q.dtype)
    for i in range(visited.shape[2]):
        for j in range(visited.shape[3]):
            if bool(rule[i * bq : (i + 1) * bq, j * bk : (j + 1) * bk].all()):
                rows = slice(i * bq, (i + 1) * bq)
                logits = (q[:, :, rows] @ means[0][:, :, j : j + 1].transpose(-1, -2)) * scale
                logits = logits[..., 0] + math.log(sizes[j])
                pseudo[:, :, rows, j] = logits.masked_fill(visited[:, :, i, j, None], -math.inf)
    scores = (q @ keys.transpose(-1, -2) * scale).masked_fill(~seen, -math.inf)
    both = torch.cat([scores, pseudo], -1)
    return both.softmax(-1) @ torch.cat([values, means[1]], 2), both.logsumexp(-1)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize(
    "make",
    [lambda **x: TopK(2, BLOCK, **x), lambda **x: Window(40, 5, BLOCK, **x)],
    ids=["topk", "window"],
)
@pytest.mark.parametrize("sizes", [(128, 128), (100, 150), (70, 200)], ids=str)
def test_pseudo_keys_join_the_softmax(sizes, make, causal):
    q, k, v = inputs(batch=2, q_heads=4, kv_heads=2, q_length=sizes[0], k_length=sizes[1])
    q, k, v = q.double(), k.double(), v.double()
    call = {"causal": causal, "precision": "native", "backend": "reference", "return_lse": True}
    out, lse = attention(q, k, v, select=make(correct=True), **call)
    exact, exact_lse = by_hand(q, k, v, make(), causal)
    assert torch.allclose(out, exact, atol=1e-6)  # lse passes through float32
    assert torch.allclose(lse.double(), exact_lse, atol=1e-5)
    plain, _ = attention(q, k, v, select=make(), **call)
    assert (plain - exact).abs().max() > 0.01  # there was something to correct


def test_equal_keys_in_a_block_make_it_exact():
    """If all keys and values of a block are the same, its mean says all there is to say."""
    q, k, v = inputs(q_length=128, k_length=256)
    k, v = (pool_blocks(x, 16).repeat_interleave(16, 2) for x in (k, v))
    call = {"precision": "native", "backend": "reference", "return_lse": True}
    out, lse = attention(q, k, v, select=TopK(3, BLOCK, correct=True), **call)
    exact, exact_lse = attention(q, k, v, **call)
    assert torch.allclose(out, exact, atol=2e-6)
    assert torch.allclose(lse, exact_lse, atol=2e-6)


def test_mass_is_never_put_too_high():
    """mean(exp s) ≥ exp(mean s): the corrected lse lies between the sparse and the dense one."""
    q, k, v = inputs(q_length=128, k_length=512, seed=5)
    call = {"precision": "native", "backend": "reference", "return_lse": True}
    _, dense = attention(q, k, v, **call)
    _, plain = attention(q, k, v, select=TopK(4, BLOCK), **call)
    _, corrected = attention(q, k, v, select=TopK(4, BLOCK, correct=True), **call)
    assert (corrected > plain).all()
    assert (corrected <= dense + 1e-5).all()


@pytest.mark.parametrize("precision", ["int8", "sage2"])
def test_correction_helps_in_few_bits_too(precision):
    q, k, v = inputs(q_heads=4, kv_heads=2, q_length=256, k_length=512)
    exact = attention(q, k, v, precision="native", backend="reference")
    call = {"precision": precision, "backend": "reference"}
    plain = attention(q, k, v, select=TopK(8, BLOCK), **call)
    corrected = attention(q, k, v, select=TopK(8, BLOCK, correct=True), **call)
    assert (corrected - exact).abs().sum() < 0.7 * (plain - exact).abs().sum()


def test_inputs_stay_as_they_are_and_order_in_memory_too():
    q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs(q_length=128))
    copies = [x.clone() for x in (q, k, v)]
    out = attention(q, k, v, select=TopK(2, BLOCK, correct=True), backend="reference")
    assert all(torch.equal(x, y) for x, y in zip((q, k, v), copies, strict=True))
    assert out.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize(
    "band",
    [None, Band(after=0), Band(before=20, after=0, sink=9), Band(before=(3, 50), after=5, sink=30)],
    ids=str,
)
@pytest.mark.parametrize("lengths", [(64, 64), (50, 77), (77, 50)], ids=str)
def test_whole_blocks_are_those_without_a_hidden_pair(band, lengths):
    seen = band_mask(band or Band(), lengths)
    whole = whole_blocks(band, lengths, (16, 8))
    for i in range(whole.shape[2]):
        for j in range(whole.shape[3]):
            part = seen[:, :, i * 16 : (i + 1) * 16, j * 8 : (j + 1) * 8]
            assert torch.equal(whole[:, :, i, j], part.all(-1).all(-1)), (i, j)


def test_what_was_visited_is_not_added_again():
    visits = torch.rand(2, 3, 4, 9) > 0.5
    layout = BlockLayout.from_dense(visits, (16, 8), (60, 70))
    assert torch.equal(skipped_whole(layout, None).to_dense(), ~visits)


def test_a_mask_is_refused():
    q, k, v = inputs()
    mask = torch.ones(100, 150, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"correct=True and there is a mask"):
        attention(q, k, v, select=TopK(2, BLOCK, correct=True), mask=mask)


def test_dense_has_nothing_to_correct():
    q, k, v = inputs()
    call = {"precision": "native", "backend": "reference"}
    assert torch.equal(
        attention(q, k, v, select=Dense(correct=True), **call), attention(q, k, v, **call)
    )
