"""Selections: which blocks Window and TopK choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from foveate import Band, BlockLayout, TopK, Window, attention, plan
from foveate.attn.layouts.bands import band_mask
from foveate.attn.layouts.rules import block_regions, by_count, pool_blocks
from foveate.attn.select import SELECTIONS, Selection, selection_named


def chosen(q, k, select, **options):
    made = plan(q, k, k, select=select, backend="reference", **options)
    return made.select.layout(q, k, made.request, made.kernels)


@pytest.mark.parametrize("lengths", [(50, 50), (20, 50), (50, 20)], ids=str)
def test_window_sees_what_its_words_say(lengths):
    lq, lk = lengths
    i = torch.arange(lq).unsqueeze(1) + lk - lq
    j = torch.arange(lk)
    causal = (j <= i) & ((i - j < 7) | (j < 3))
    assert torch.equal(band_mask(Window(7, sink=3).band(True), lengths)[0, 0], causal)
    both = ((i - j).abs() < 7) | ((j < 3) & (j - i < 7))
    assert torch.equal(band_mask(Window(7, sink=3).band(False), lengths)[0, 0], both)


def test_window_as_wide_as_the_keys_is_dense():
    q, k, v = (torch.randn(1, 2, 70, 64) for _ in range(3))
    wide = attention(q, k, v, select=Window(70), causal=True, precision="native")
    full = attention(q, k, v, causal=True, precision="native")
    torch.testing.assert_close(wide, full, rtol=1e-5, atol=1e-6)


def test_window_layout_is_made_once_for_each_size():
    q, k = torch.randn(1, 2, 100, 64), torch.randn(1, 2, 200, 64)
    assert chosen(q, k, Window(30)) is chosen(q.clone(), k.clone(), Window(30))
    assert chosen(q, k, Window(30), causal=True) is not chosen(q, k, Window(30))


def test_top_blocks_are_those_with_the_largest_pooled_scores():
    q, k = torch.randn(2, 4, 130, 64), torch.randn(2, 2, 300, 64)
    layout = chosen(q, k, TopK(3, block=(32, 64)))
    visits = layout.to_dense()
    assert visits.shape == (2, 4, 5, 5)
    for b in range(2):
        for h in range(4):
            for i in range(5):
                mean = q[b, h, 32 * i : 32 * (i + 1)].mean(0)
                scores = [mean @ part.mean(0) for part in k[b, h // 2].split(64)]
                best = sorted(range(5), key=lambda j: -scores[j])[:3]
                assert sorted(best) == visits[b, h, i].nonzero().flatten().tolist()


@pytest.mark.parametrize("lengths", [(256, 256), (100, 300), (300, 100)], ids=str)
def test_top_blocks_under_causal_keep_the_first_and_the_diagonal(lengths):
    q, k = torch.randn(1, 2, lengths[0], 64), torch.randn(1, 2, lengths[1], 64)
    visits = chosen(q, k, TopK(1, block=(32, 32)), causal=True).to_dense()
    pairs = band_mask(Band(after=0), lengths)[0, 0]
    for i in range(visits.shape[2]):
        seen = pairs[32 * i : 32 * (i + 1)]
        visible = {j for j in range(visits.shape[3]) if seen[:, 32 * j : 32 * (j + 1)].any()}
        position = lengths[1] - lengths[0] + 32 * i
        last = min(position + 32, lengths[1]) - 1
        wanted = {0} | set(range(max(position, 0) // 32, last // 32 + 1)) if visible else set()
        for h in range(2):
            assert set(visits[0, h, i].nonzero().flatten().tolist()) == wanted & visible


def test_fraction_counts_the_blocks_a_row_may_see():
    q = torch.randn(1, 1, 320, 64)
    visits = chosen(q, q, TopK(0.5, block=(32, 32)), causal=True).to_dense()
    # row i sees i + 1 blocks: half of them rounded up, but at least the first and its own
    assert visits.sum(-1).flatten().tolist() == [1, 2, 2, 2, 3, 3, 4, 4, 5, 5]
    visits = chosen(q, q, TopK(0.1, block=(32, 32))).to_dense()
    assert visits.sum(-1).flatten().tolist() == [1] * 10


def test_all_fractions_of_exact_counts_are_exact():
    scores = torch.randn(1, 1, 1, 30)
    allowed, kept = block_regions(None, (1, 30), (1, 1))
    for tenths in range(1, 11):
        assert by_count(scores, tenths / 10, allowed, kept).sum() == 3 * tenths


def test_not_a_number_ranks_last():
    scores = torch.tensor([[[[float("nan"), 1.0, float("-inf"), 0.0]]]])
    allowed, kept = block_regions(None, (4, 16), (4, 4))
    assert by_count(scores, 2, allowed, kept).flatten().tolist() == [False, True, False, True]


def test_pooling_averages_the_shorter_last_block_over_its_own_rows():
    x = torch.randn(2, 3, 21, 8).transpose(1, 2).contiguous().transpose(1, 2)
    pooled = pool_blocks(x, 8)
    assert pooled.shape == (2, 3, 3, 8)
    torch.testing.assert_close(pooled[:, :, 2], x[:, :, 16:].mean(2))
    torch.testing.assert_close(pooled[:, :, 1], x[:, :, 8:16].mean(2))


def test_names_make_selections_with_their_defaults():
    assert selection_named("dense") == SELECTIONS["dense"]()
    assert {cls.name for cls in SELECTIONS.values()} == set(SELECTIONS)


@dataclass(frozen=True)
class Reversed(Selection):
    """Attends in reversed token order, each block to its own: a selection needs one file only."""

    rows: int = 16
    name: ClassVar[str] = "reversed"

    def arrange(self, q, k, v):
        return q.flip(2), k.flip(2), v.flip(2)

    def layout(self, q, k, request, kernels):
        own = torch.eye(-(-q.shape[2] // self.rows), dtype=torch.bool)[None, None]
        return BlockLayout.from_dense(own, (self.rows, self.rows), (q.shape[2], k.shape[2]))

    def restore(self, out, lse):
        return out.flip(2), lse.flip(2)


def test_a_new_selection_arranges_lays_out_and_restores():
    q, k, v = (torch.randn(1, 2, 48, 64) for _ in range(3))
    out, lse = attention(q, k, v, select=Reversed(), return_lse=True, precision="native")
    same = torch.arange(48).unsqueeze(1) // 16 == torch.arange(48) // 16
    expected, expected_lse = attention(
        q, k, v, mask=same, return_lse=True, precision="native", backend="reference"
    )
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-5, atol=1e-5)
