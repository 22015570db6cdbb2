"""Names of spas_sage_attn: their signatures, their results, and what the originals got wrong."""

from __future__ import annotations

import inspect

import pytest
import torch

from foveate import BlockLayout, Sage, Sage2pp, Sparge, attention
from foveate.models.compat import spas_sage_attn as compat
from tests.attn.kit import inputs

MEANSIM = {
    "spas_sage2_attn_meansim_topk_cuda": (Sage2pp(granularity="block"), -0.1, None, 0.5),
    "spas_sage_attn_meansim_topk_cuda": (Sage("B"), -0.1, None, 0.5),
    "spas_sage2_attn_meansim_cuda": (Sage2pp(granularity="block"), 0.6, 0.98, None),
    "spas_sage_attn_meansim_cuda": (Sage("B"), 0.6, 0.98, None),
}
ALL = [*MEANSIM, "block_sparse_sage2_attn_cuda"]


def qkv(length=300, heads=4, kv_heads=2, dtype=torch.float32):
    q, k, v = inputs(1, heads, kv_heads, length, length, dim=64, v_dim=64)
    return [x.to(dtype) for x in (2 * q, k, v)]


@pytest.mark.parametrize("name", MEANSIM)
def test_signatures_are_those_of_the_original(name):
    _, similarity, mass, share = MEANSIM[name]
    expected = {
        "attn_mask": None,
        "dropout_p": 0.0,
        "is_causal": False,
        "scale": None,
        "smooth_k": True,
        "simthreshd1": similarity,
        "cdfthreshd": mass,
        "topk": share,
        "pvthreshd": 50,
        "attention_sink": False,
        "tensor_layout": "HND",
        "output_dtype": torch.float16,
        "return_sparsity": False,
    }
    if share is None:
        del expected["topk"]
    found = inspect.signature(getattr(compat, name)).parameters
    assert list(found)[:3] == ["q", "k", "v"]
    assert {n: p.default for n, p in list(found.items())[3:]} == expected


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
@pytest.mark.parametrize("name", MEANSIM)
def test_defaults_are_the_selection_and_the_numbers_they_name(name, causal):
    q, k, v = qkv()
    numbers, similarity, mass, share = MEANSIM[name]
    select = Sparge(mass, keep=share, similarity=similarity, rule="exclusive", skip=50)
    expected = attention(q, k, v, select=select, precision=numbers, causal=causal)
    out, sparsity = getattr(compat, name)(q, k, v, is_causal=causal, return_sparsity=True)
    assert torch.equal(out, expected)
    assert torch.equal(getattr(compat, name)(q, k, v, is_causal=causal), out)
    assert 0 <= sparsity < 1
    if share is not None and not causal:
        assert sparsity == pytest.approx(1 - 2 / 5)  # floor(0.5 · 5 blocks)


def test_layout_of_tokens_first_is_transposed():
    q, k, v = qkv()
    out = compat.spas_sage2_attn_meansim_topk_cuda(q, k, v)
    moved = [x.transpose(1, 2).contiguous() for x in (q, k, v)]
    other = compat.spas_sage2_attn_meansim_topk_cuda(*moved, tensor_layout="NHD")
    assert other.shape == moved[0].shape
    torch.testing.assert_close(other.transpose(1, 2), out)


def test_options_may_differ_from_head_to_head():
    q, k, v = qkv()
    thresholds = torch.tensor([0.5, 0.6, 0.7, 0.98])
    out = compat.spas_sage2_attn_meansim_cuda(
        q, k, v, cdfthreshd=thresholds, simthreshd1=torch.tensor([-1.0, -1, -1, 0.3]), pvthreshd=20
    )
    for head, threshold in enumerate(thresholds.tolist()):
        part = q[:, head, None], k[:, head // 2, None], v[:, head // 2, None]
        judge = 0.3 if head == 3 else -1
        alone = compat.spas_sage2_attn_meansim_cuda(
            *part, cdfthreshd=threshold, simthreshd1=judge, pvthreshd=20
        )
        torch.testing.assert_close(out[:, head, None], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MEANSIM)
def test_no_query_sees_its_future(name):
    # The sage2 functions once told their kernel that nothing was causal: queries saw all keys of
    # the blocks on the diagonal, those of the future among them.
    q, k, v = qkv()
    run = {"is_causal": True, "smooth_k": False}
    out = getattr(compat, name)(q, k, v, **run)
    # inside a block on the diagonal; neither the choice of blocks nor a scale of V changes
    turned = v.clone()
    turned[:, :, 200:256] *= -1
    other = getattr(compat, name)(q, k, turned, **run)
    assert torch.equal(other[:, :, :200], out[:, :, :200])
    assert bool((other != out)[:, :, 200:256].any(-1).all())
    exact = attention(q, k, v, causal=True, precision="native")
    share = {"topk": 1.0} if "topk" in name else {"cdfthreshd": 1.0}
    dense = getattr(compat, name)(q, k, v, **run, **share)
    assert float((dense - exact).abs().sum() / exact.abs().sum()) < 0.05


def test_a_threshold_of_zero_visits_one_block():
    q, k, v = qkv()
    _, sparsity = compat.spas_sage2_attn_meansim_cuda(
        q, k, v, cdfthreshd=0.0, simthreshd1=-1, return_sparsity=True
    )
    assert sparsity == pytest.approx(1 - 1 / 5)


def test_inputs_are_left_alone():
    tensors = qkv(dtype=torch.bfloat16)
    copies = [x.clone() for x in tensors]
    out = compat.spas_sage2_attn_meansim_topk_cuda(*tensors, is_causal=True)
    assert out.dtype == torch.bfloat16
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
def test_short_inputs_are_dense(causal):
    q, k, v = qkv(length=100)
    out, sparsity = compat.spas_sage2_attn_meansim_topk_cuda(
        q, k, v, is_causal=causal, return_sparsity=True
    )
    expected = attention(q, k, v, precision=Sage2pp(granularity="block"), causal=causal)
    torch.testing.assert_close(out, expected)
    assert sparsity == 0


def test_given_blocks_are_those_visited():
    q, k, v = qkv()
    mask = (torch.rand(1, 4, 3, 5) > 0.5).int()
    mask[0, 1, 2] = 0  # a row of nothing was once left unwritten
    out, sparsity = compat.block_sparse_sage2_attn_cuda(q, k, v, mask, return_sparsity=True)
    layout = BlockLayout.from_dense(mask.bool(), (128, 64), (300, 300))
    expected = attention(q, k, v, select=layout, precision=Sage2pp(granularity="block"))
    torch.testing.assert_close(out, expected)
    assert sparsity == pytest.approx(1 - float(mask.float().mean()))
    assert float(out[0, 1, 256:].abs().max()) == 0
    copy = mask.clone()
    sink = compat.block_sparse_sage2_attn_cuda(q, k, v, mask, attention_sink=True)
    assert torch.equal(mask, copy)
    assert float(sink[0, 1, 256:].abs().max()) > 0
    everything, none = compat.block_sparse_sage2_attn_cuda(q, k, v, return_sparsity=True)
    assert none == 0
    torch.testing.assert_close(
        everything, attention(q, k, v, precision=Sage2pp(granularity="block")), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dropout_p": 0.1}, r"dropout_p is 0\.1; expected 0\.0 \(inference only\)"),
        ({"tensor_layout": "BHND"}, 'tensor_layout is \'BHND\'; expected "HND" or "NHD"'),
        ({"output_dtype": torch.bfloat16}, "output_dtype is bfloat16; expected q's float32"),
        ({"pvthreshd": -1}, "pvthreshd is -1; expected a number above 0"),
    ],
    ids=["dropout", "layout", "dtype", "pv"],
)
def test_what_cannot_be_honoured_is_refused(name, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        getattr(compat, name)(*qkv(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attn_mask": torch.ones(300, 300)}, "attn_mask is Tensor; expected None"),
        ({"cdfthreshd": 0.9}, r"topk is 0\.5 and cdfthreshd is 0\.9; expected exactly one"),
        ({"topk": None}, "topk is None and cdfthreshd is None"),
        ({"topk": 1.5}, r"topk is 1\.5; expected numbers from 0 to 1"),
        ({"simthreshd1": float("nan")}, "simthreshd1 is nan"),
    ],
    ids=["mask", "both", "neither", "share", "similarity"],
)
def test_other_senseless_calls_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        compat.spas_sage2_attn_meansim_topk_cuda(*qkv(), **options)


def test_map_of_other_blocks_is_refused():
    with pytest.raises(ValueError, match=r"mask_id is \[1, 4, 5, 3\]; expected \[B, H, 3, 5\]"):
        compat.block_sparse_sage2_attn_cuda(*qkv(), torch.ones(1, 4, 5, 3))
    with pytest.raises(TypeError, match="unexpected keyword"):
        compat.block_sparse_sage2_attn_cuda(*qkv(), is_causal=True)
