"""Names of fastvideo-kernel and vsa: their signatures, and what they compute on tiled tokens."""

from __future__ import annotations

import inspect

import pytest
import torch

from foveate import VSA, gated_attention
from foveate.models.compat import fastvideo_kernel as fk
from foveate.models.compat import vsa
from tests.attn.vsa_kit import chosen, video, written_out

GRID = (5, 9, 10)
SELECT = VSA(GRID, keep=4)


def tiled(x):
    meta = fk.build_vsa_metadata(GRID, device="cpu")
    slots = x.new_zeros(*x.shape[:2], len(meta["variable_block_sizes"]) * 64, x.shape[3])
    slots[:, :, meta["non_pad_index"]] = x[:, :, meta["tile_partition_indices"]]
    return slots


def untiled(x):
    meta = fk.build_vsa_metadata(GRID, device="cpu")
    return x[:, :, meta["non_pad_index"]][:, :, meta["reverse_tile_partition_indices"]]


def test_signatures_are_those_of_the_originals():
    parameters = inspect.signature(fk.video_sparse_attn).parameters
    assert parameters["block_size"].default == 64
    assert parameters["compress_attn_weight"].default is None
    names = list(parameters)
    assert names[:5] == ["q", "k", "v", "variable_block_sizes", "q_variable_block_sizes"]
    assert names[5:] == ["topk", "block_size", "compress_attn_weight"]
    names.remove("q_variable_block_sizes")
    assert list(inspect.signature(vsa.video_sparse_attn).parameters) == names


def test_metadata():
    meta = fk.build_vsa_metadata(GRID, device="cpu")
    assert (meta["num_tiles"], meta["max_block_size"]) == ((2, 3, 3), 64)
    assert meta["tile_partition_indices"][:6].tolist() == [0, 1, 2, 3, 10, 11]
    x = torch.randn(1, 2, 450, 8)
    assert torch.equal(untiled(tiled(x)), x)
    sizes = fk.construct_variable_block_sizes(GRID, (2, 3, 3), "cpu")
    assert torch.equal(sizes, SELECT.queries.sizes())
    with pytest.raises(ValueError, match=r"num_tiles is \(2, 3, 2\); expected \(2, 3, 3\)"):
        fk.construct_variable_block_sizes(GRID, (2, 3, 2), "cpu")


@pytest.mark.parametrize("block_size", [(4, 4, 4), 64, 4])
def test_both_stages_and_gradients(block_size):
    q, k, v, gate, _ = video(SELECT, (4, 4, 4))
    sizes = SELECT.queries.sizes()
    call = (*map(tiled, (q, k, v)), sizes, sizes, 4, block_size)
    for weight, coarse in ((None, 1.0), (tiled(gate), gate), (torch.zeros(()), 0.0)):
        out = untiled(fk.video_sparse_attn(*call, compress_attn_weight=weight))
        expected = gated_attention(q, k, v, select=SELECT, coarse=coarse)
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
        leaves = (q, k, v, gate) if coarse is gate else (q, k, v)
        for x, y in zip(
            torch.autograd.grad(out.square().sum(), leaves, retain_graph=True),
            torch.autograd.grad(expected.square().sum(), leaves),
            strict=True,
        ):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)
    old = vsa.video_sparse_attn(*call[:3], sizes, 4, block_size)
    assert torch.equal(old, fk.video_sparse_attn(*call))
    other = [x.transpose(1, 2) for x in call[:3]]
    swapped = fk.video_sparse_attn_bshd(*other, *call[3:])
    torch.testing.assert_close(swapped.transpose(1, 2), old)


def test_maps_and_lists_of_blocks():
    q, k, v, *_ = (x.detach() for x in video(SELECT, (2, 2, 2)))
    visits, sizes = chosen(SELECT, q, k), SELECT.queries.sizes()
    out, lse = fk.block_sparse_attn(*map(tiled, (q, k, v)), visits, sizes)
    expected = written_out(SELECT, q, k, v, visits=visits)
    torch.testing.assert_close(untiled(out), expected, rtol=1e-4, atol=1e-5)
    assert lse.shape == (2, 2, 1152)
    index, number = fk.map_to_index(visits)
    assert bool((number == 4).all())
    index = index[..., :5].clone()
    index[..., :4] = index[..., :4].flip(-1)  # any order; what follows is ignored
    index[..., 4] = 999
    again, _ = fk.block_sparse_attn_from_indices(*map(tiled, (q, k, v)), index, number, sizes)
    assert torch.equal(again, out)
    one, _ = fk.block_sparse_attn(*map(tiled, (q, k, v)), visits[0], sizes)
    assert torch.equal(one[0], out[0])
    with pytest.raises(ValueError, match="q2k_idx names blocks outside of 0 to 17"):
        fk.block_sparse_attn_from_indices(*map(tiled, (q, k, v)), index, number + 1, sizes)


def test_pooling_and_topk():
    q, *_ = (x.detach() for x in video(SELECT))
    sizes = SELECT.queries.sizes()
    means = fk.fused_block_mean(tiled(q), sizes, 64)
    first = q.unflatten(2, GRID)[:, :, :4, :4, :4].flatten(2, 4).mean(2)
    torch.testing.assert_close(means[:, :, 0], first)
    scores = torch.randn(1, 2, 3, 9)
    scores[..., 2:5] = 7
    mask = fk.fused_topk_mask(scores, 2)
    assert torch.equal(mask.nonzero()[:, 3].view(-1, 2), torch.tensor([[2, 3]] * 6))


def test_what_does_not_fit_is_refused():
    q = torch.randn(1, 2, 128, 16)
    sizes = torch.tensor([64, 64])
    for arguments, words in (
        ((q, q, q, sizes, sizes, 3, 64), "topk is 3; expected an int from 1 to the 2 cubes"),
        (
            (q, q, q, sizes[:1], sizes, 1, 64),
            r"variable_block_sizes has shape \[1\]; expected \[2\]",
        ),
        ((q[:, :, :100], q, q, sizes, sizes, 1, 64), "q has 100 slots; expected a multiple"),
        ((q, q, q, sizes, sizes, 1, (4, 4)), r"block_size is \(4, 4\)"),
        ((q, q[:, :, :64], q, sizes, sizes, 1, 64), "v has shape|k "),
    ):
        with pytest.raises(ValueError, match=words):
            fk.video_sparse_attn(*arguments)
    with pytest.raises(TypeError, match="block_map is float32"):
        fk.block_sparse_attn(q, q, q, torch.ones(2, 2, 2), sizes)
