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


def test_submodules_have_the_names_that_programs_import():
    from foveate.models.compat.fastvideo_kernel.block_sparse_attn import (
        _map_to_index,
        block_sparse_attn_triton,
    )
    from foveate.models.compat.fastvideo_kernel.block_sparse_attn_256 import (
        block_sparse_attn_128,
        block_sparse_attn_256_bshd,
    )
    from foveate.models.compat.fastvideo_kernel.triton_kernels import index
    from foveate.models.compat.fastvideo_kernel.triton_kernels.block_sparse_attn_triton import (
        triton_block_sparse_attn_forward,
    )

    # importing a submodule must not put it in the place of the function that shares its name
    assert callable(fk.block_sparse_attn)
    assert callable(fk.block_sparse_attn_varlen)
    q, k, v = (torch.randn(1, 2, 384, 16) for _ in range(3))
    visits = torch.rand(1, 2, 3, 3) < 0.5
    visits[..., 0] = True
    sizes = torch.tensor([128, 100, 30])
    want, lse = fk.block_sparse_attn(q, k, v, visits, sizes)
    by_list = (*index.map_to_index(visits), sizes)
    assert _map_to_index is index.map_to_index
    for out in (
        block_sparse_attn_128(q, k, v, visits, sizes)[0],
        block_sparse_attn_triton(q, k, v, *by_list)[0],
        triton_block_sparse_attn_forward(q, k, v, *by_list)[0],
    ):
        assert torch.equal(out, want)
    swapped = [x.transpose(1, 2) for x in (q, k, v)]
    out, other = block_sparse_attn_256_bshd(*swapped, visits, sizes)
    assert torch.equal(out.transpose(1, 2), want)
    assert torch.equal(other, lse)


def test_lists_and_maps_are_each_others_inverse():
    from foveate.models.compat.fastvideo_kernel.triton_kernels import index

    visits = torch.rand(2, 3, 5, 7) < 0.4
    listed, counts = index.map_to_index(visits)
    assert torch.equal(counts, visits.sum(-1).int())
    assert bool((listed[~(torch.arange(7) < counts.unsqueeze(-1))] == -1).all())
    back, how_many = index.invert_indices(listed.clamp(min=0), counts, 7)
    assert back.shape == (2, 3, 7, 5)
    assert torch.equal(how_many, visits.sum(-2).int())
    for b, h, j in ((0, 0, 0), (1, 2, 6), (1, 0, 3)):
        n = int(how_many[b, h, j])
        assert back[b, h, j, :n].tolist() == visits[b, h, :, j].nonzero().flatten().tolist()
    best = torch.stack([torch.randperm(7)[:3] for _ in range(4)]).view(1, 2, 2, 3)
    for turned in (False, True):
        found = index.topk_index_to_map(best, 7, turned)
        assert found.shape == (1, 2, 2, 7)
        assert torch.equal(found.nonzero()[:, 3].view(1, 2, 2, 3), best.sort(-1).values)
    with pytest.raises(ValueError, match="max_q_per_kv is 1"):
        index.invert_indices(listed.clamp(min=0), counts, 7, max_q_per_kv=1)


def test_sequences_of_different_lengths_in_one_call():
    torch.manual_seed(3)
    lists, numbers, sizes, q_sizes, want, packed = [], [], [], [], [], [[], [], []]
    for n_q, n_k in ((2, 3), (1, 5), (4, 2)):
        q_size, k_size = torch.randint(16, 65, (n_q,)), torch.randint(16, 65, (n_k,))
        visits = torch.rand(1, 2, n_q, n_k) < 0.5
        visits[..., -1] = True
        at = [fk.get_non_pad_index(x, 64) for x in (q_size, k_size, k_size)]
        tokens = [torch.randn(len(x), 2, 32) for x in at]
        tiles = []
        for x, where, n in zip(tokens, at, (n_q, n_k, n_k), strict=True):
            tile = torch.zeros(1, 2, 64 * n, 32)
            tile[0, :, where] = x.transpose(0, 1)
            tiles.append(tile)
        idx, num = fk.map_to_index(visits)
        want.append(fk.block_sparse_attn(*tiles, visits, k_size)[0][0, :, at[0]].transpose(0, 1))
        for part, x in zip(packed, tokens, strict=True):
            part.append(x)
        lists.append(idx), numbers.append(num), sizes.append(k_size), q_sizes.append(q_size)
    ends = [
        torch.tensor([0, *torch.stack([y.sum() for y in x]).cumsum(0).tolist()])
        for x in (q_sizes, sizes)
    ]
    out = fk.block_sparse_attn_varlen(
        *(torch.cat(x) for x in packed), *ends, lists, numbers, sizes, q_sizes
    )
    assert torch.allclose(out, torch.cat(want), atol=1e-6)
    ends[0][1] += 1
    with pytest.raises(ValueError, match="cu_seqlens_q is"):
        fk.block_sparse_attn_varlen(
            *(torch.cat(x) for x in packed), *ends, lists, numbers, sizes, q_sizes
        )


def test_means_count_tokens_and_sum_slots():
    x = torch.randn(1, 2, 128, 8)
    x[:, :, 100:] = 0
    means = fk.fused_block_mean(x, torch.tensor([64, 36]), 64)
    assert torch.allclose(means[:, :, 1], x[:, :, 64:100].mean(2), atol=1e-6)
