"""Layouts: bands to blocks, conversions there and back, and what FlexAttention makes of them."""

from __future__ import annotations

import itertools
import random
import re

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, create_mask, flex_attention

from foveate import Band, BlockLayout, attention
from foveate.attn.layouts import band_layout, new_output
from foveate.attn.layouts.bands import band_mask
from foveate.attn.layouts.windows import band_density

BANDS = [
    Band(),
    Band(after=0),
    Band(before=9, after=0),
    Band(before=9, after=9, sink=5),
    Band(before=0, after=0, sink=20),
    Band(before=-3),
    Band(after=-7, sink=3),
    Band(before=(0, 5, None), after=0, sink=(3, 0, 17)),
]
LENGTHS = [(1, 1), (1, 70), (70, 1), (40, 40), (33, 65), (65, 33)]
BLOCKS = [(1, 1), (16, 16), (8, 32), (32, 5)]


def random_layout(lengths, block, batch=1, heads=1, band=None):
    grid = [-(-length // size) for length, size in zip(lengths, block, strict=True)]
    return BlockLayout.from_dense(torch.rand(batch, heads, *grid) > 0.5, block, lengths, band)


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_band_layout_visits_all_that_is_visible_and_no_block_in_vain(band):
    for lengths, block in itertools.product(LENGTHS, BLOCKS):
        layout = band_layout(band, lengths, block)
        pairs = band_mask(band, lengths)
        heads = layout.counts.shape[1]
        assert torch.equal(layout.to_mask(), pairs.expand(-1, heads, -1, -1))
        needed = torch.zeros(1, heads, *layout.grid)
        index = pairs.expand(-1, heads, -1, -1).nonzero().T
        needed[0, index[1], index[2] // block[0], index[3] // block[1]] = 1
        assert torch.equal(layout.to_dense(), needed.bool()), (lengths, block)
        assert band_density(band, lengths, block) == pytest.approx(layout.density())


def test_band_layout_of_a_long_window_never_lists_pairs():
    # 10⁵ × 10⁵ pairs would be 10 GB even as bool
    layout = band_layout(Band(before=1023, after=0, sink=64), (100_000, 100_000), (64, 128))
    assert layout.density() < 0.015
    assert layout.counts.max() == 10  # nine of the window and one of the sink


def test_dense_map_there_and_back():
    layout = random_layout((70, 90), (16, 32), batch=2, heads=3)
    again = BlockLayout.from_dense(layout.to_dense(), layout.block, layout.lengths)
    assert torch.equal(again.counts, layout.counts)
    assert torch.equal(again.indices, layout.indices)
    assert layout.density() == layout.to_dense().float().mean()


def test_ignored_entries_do_not_count():
    counts = torch.tensor([[[1, 2]]], dtype=torch.int32)
    indices = torch.tensor([[[[2, 0, 2], [0, 1, 1]]]], dtype=torch.int32)
    layout = BlockLayout(counts, indices, (4, 4), (8, 12))
    expected = [[False, False, True], [True, True, False]]
    assert layout.to_dense()[0, 0].tolist() == expected


def test_bsr_there_and_back():
    layout = random_layout((70, 90), (16, 32), heads=2)
    indptr, indices = layout.to_bsr(head=1)
    again = BlockLayout.from_bsr(indptr, indices, layout.block, layout.lengths)
    assert torch.equal(again.to_dense()[0, 0], layout.to_dense()[0, 1])
    shuffled = torch.cat([part.flip(0) for part in indices.tensor_split(indptr[1:-1].long())])
    again = BlockLayout.from_bsr(indptr, shuffled, layout.block, layout.lengths)
    assert torch.equal(again.to_dense()[0, 0], layout.to_dense()[0, 1])


def test_bsr_refuses_what_it_cannot_carry():
    with pytest.raises(ValueError, match="cannot carry Band"):
        random_layout((32, 32), (16, 16), band=Band(after=0)).to_bsr()
    with pytest.raises(ValueError, match="twice"):
        BlockLayout.from_bsr(torch.tensor([0, 2]), torch.tensor([1, 1]), (16, 16), (16, 32))
    with pytest.raises(ValueError, match="indptr must rise from 0 to nnz = 2"):
        BlockLayout.from_bsr(torch.tensor([0, 1]), torch.tensor([0, 1]), (16, 16), (16, 32))
    with pytest.raises(ValueError, match="indices go from 0 to 2; expected 0 to 1"):
        BlockLayout.from_bsr(torch.tensor([0, 2]), torch.tensor([0, 2]), (16, 16), (16, 32))


@pytest.mark.parametrize("band", BANDS, ids=str)
def test_block_mask_there_and_back(band):
    shuffled = random.Random(1).sample(list(itertools.product(LENGTHS, BLOCKS[1:])), 6)
    for lengths, block in shuffled:
        for layout in (
            band_layout(band, lengths, block),
            random_layout(lengths, block, heads=band.heads or 1, band=band),
        ):
            mask = layout.to_block_mask()
            heads = band.heads or 1
            # without compilation flex believes mask_mod alone: it must say everything
            pairs = create_mask(mask.mask_mod, 1, heads, *lengths, device="cpu")
            assert torch.equal(pairs, layout.to_mask().expand(-1, heads, -1, -1))
            if band.heads is None:
                again = BlockLayout.from_block_mask(mask)
                assert torch.equal(again.to_mask(), layout.to_mask()), (lengths, block)


RULES = {
    "full": lambda b, h, i, j: i >= -1,
    "causal": lambda b, h, i, j: i >= j,
    "window": lambda b, h, i, j: (i >= j) & (i - j < 13),
    "both sides": lambda b, h, i, j: (i - j).abs() < 9,
    "sink": lambda b, h, i, j: (i >= j) & ((i - j < 13) | (j < 4)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lengths", [(100, 100), (60, 100), (100, 60)], ids=str)
def test_block_masks_of_common_rules_are_understood(rule, lengths):
    mask = create_block_mask(RULES[rule], None, None, *lengths, device="cpu", BLOCK_SIZE=16)
    layout = BlockLayout.from_block_mask(mask)
    pairs = create_mask(RULES[rule], 1, 1, *lengths, device="cpu")
    assert torch.equal(layout.to_mask(), pairs)
    q, k = torch.randn(1, 2, lengths[0], 32), torch.randn(1, 2, lengths[1], 32)
    out = attention(q, k, k, select=layout, precision="native", backend="reference")
    expected = attention(q, k, k, mask=pairs, precision="native", backend="reference")
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)


REFUSED = {
    "documents": lambda b, h, i, j: i // 7 == j // 7,
    "dilated": lambda b, h, i, j: (i - j) % 2 == 0,
    "per head": lambda b, h, i, j: i - j < 5 + 3 * h,
}


@pytest.mark.parametrize("rule", REFUSED)
def test_block_masks_of_other_rules_are_refused_with_the_way_out(rule):
    mask = create_block_mask(REFUSED[rule], 1, 2, 64, 64, device="cpu", BLOCK_SIZE=16)
    with pytest.raises(ValueError, match="pass the pairs as mask="):
        BlockLayout.from_block_mask(mask)


def test_per_batch_tables_of_whole_blocks_are_understood():
    documents = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 2]]).repeat_interleave(16, 1)

    def same(b, h, i, j):
        return documents[b, i] == documents[b, j]

    mask = create_block_mask(same, 2, None, 64, 64, device="cpu", BLOCK_SIZE=16)
    layout = BlockLayout.from_block_mask(mask)
    assert layout.band is None
    assert torch.equal(layout.to_mask(), create_mask(same, 2, 1, 64, 64, device="cpu"))


def test_flex_attention_agrees_with_us():
    q, k, v = (torch.randn(1, 2, 48, 32) for _ in range(3))
    layout = random_layout((48, 48), (16, 16), band=Band(before=20, after=3, sink=2))
    theirs = flex_attention(q, k, v, block_mask=layout.to_block_mask())
    ours = attention(q, k, v, select=layout, precision="native", backend="reference")
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_compiled_flex_attention_agrees_with_us():
    q, k, v = (torch.randn(1, 2, 256, 32) for _ in range(3))
    layout = random_layout((256, 256), (128, 128), band=Band(after=0))
    theirs = torch.compile(flex_attention)(q, k, v, block_mask=layout.to_block_mask())
    ours = attention(q, k, v, select=layout, precision="native", backend="reference")
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_layout_is_read_on_its_device_and_printed():
    layout = random_layout((70, 90), (16, 32), band=Band(after=0))
    assert layout.to("cpu") is layout
    assert layout.to("meta").device.type == "meta"
    text = repr(layout)
    assert "lengths=(70, 90)" in text
    assert "density=" in text
    assert "Band(before=None, after=0, sink=0)" in text


@pytest.mark.parametrize("v_dim", [64, 24])
def test_new_output_follows_the_memory_order_of_q(v_dim):
    heads_first = torch.empty(2, 4, 10, 64)
    tokens_first = torch.empty(2, 10, 4, 64).transpose(1, 2)
    assert new_output(heads_first, v_dim).is_contiguous()
    out = new_output(tokens_first, v_dim)
    assert out.shape == (2, 4, 10, v_dim)
    assert out.transpose(1, 2).is_contiguous()


REFUSED_PARTS = {
    "dtype": (lambda c, i: BlockLayout(c.long(), i, (8, 8), (16, 16)), TypeError, "counts has"),
    "rank": (lambda c, i: BlockLayout(c[0], i, (8, 8), (16, 16)), ValueError, "counts has shape"),
    "grid": (
        lambda c, i: BlockLayout(c, i, (8, 8), (16, 8)),
        ValueError,
        "do not fit lengths (16, 8) in blocks of (8, 8); expected counts [1, 1, 2]",
    ),
    "block": (lambda c, i: BlockLayout(c, i, (0, 8), (16, 16)), ValueError, "block is (0, 8)"),
    "block type": (lambda c, i: BlockLayout(c, i, 8, (16, 16)), TypeError, "block is 8"),
    "high count": (
        lambda c, i: BlockLayout(c + 1, i, (8, 8), (16, 16)),
        ValueError,
        "counts go from 3 to 3; expected 0 to nK = 2",
    ),
    "high index": (
        lambda c, i: BlockLayout(c, i + 1, (8, 8), (16, 16)),
        ValueError,
        "indices go from 1 to 2; expected 0 to nK − 1 = 1",
    ),
    "order": (
        lambda c, i: BlockLayout(c, i.flip(-1), (8, 8), (16, 16)),
        ValueError,
        "indices are not ascending",
    ),
    "band": (
        lambda c, i: BlockLayout(c, i, (8, 8), (16, 16), band="causal"),
        TypeError,
        "band is str; expected a Band",
    ),
}


@pytest.mark.parametrize("name", REFUSED_PARTS)
def test_bad_layouts_are_refused_when_made(name):
    make, kind, text = REFUSED_PARTS[name]
    good = BlockLayout.from_dense(torch.ones(1, 1, 2, 2).bool(), (8, 8), (16, 16))
    with pytest.raises(kind, match=re.escape(text)):
        make(good.counts, good.indices)
