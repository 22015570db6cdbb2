"""Names of sageattention: their signatures, what they compute, and what callers pass to them."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F

from foveate import Sage, Sage2, Sage2pp, attention
from foveate.models.compat import sageattention as compat
from tests.attn.kit import inputs


def qkv():
    return inputs(2, 4, 2, 150, 150, dim=64, v_dim=64)


def test_signature_of_sageattn():
    found = inspect.signature(compat.sageattn).parameters
    assert list(found)[:7] == [
        "q",
        "k",
        "v",
        "tensor_layout",
        "is_causal",
        "sm_scale",
        "return_lse",
    ]
    assert [p.default for p in list(found.values())[3:7]] == ["HND", False, None, False]


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
@pytest.mark.parametrize("layout", ["HND", "NHD"])
def test_sageattn_is_sage2pp_and_near_exact(causal, layout):
    q, k, v = qkv()
    came = [x if layout == "HND" else x.transpose(1, 2).contiguous() for x in (q, k, v)]
    out, lse = compat.sageattn(*came, tensor_layout=layout, is_causal=causal, return_lse=True)
    assert out.shape == came[0].shape
    assert torch.equal(compat.sageattn(*came, layout, causal), out)
    out = out if layout == "HND" else out.transpose(1, 2)
    expected, expected_lse = attention(q, k, v, precision=Sage2pp(), causal=causal, return_lse=True)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(lse, expected_lse)
    exact, exact_lse = attention(q, k, v, precision="native", causal=causal, return_lse=True)
    assert F.cosine_similarity(out.flatten(), exact.flatten(), dim=0) > 0.995
    torch.testing.assert_close(lse, exact_lse, rtol=0, atol=0.05)


def test_what_callers_pass_is_honoured():
    # scale and attn_mask were once swallowed without a word
    q, k, v = qkv()
    mask = torch.rand(2, 1, 150, 150) > 0.3
    words = {"scale": 0.3, "attn_mask": mask, "dropout_p": 0.0, "enable_gqa": True}
    out = compat.sageattn(q, k, v, **words)
    expected = attention(q, k, v, precision=Sage2pp(), scale=0.3, mask=mask)
    torch.testing.assert_close(out, expected)
    assert not torch.allclose(out, compat.sageattn(q, k, v))
    plain = compat.sageattn(q, k, v, smooth_k=False)
    torch.testing.assert_close(plain, attention(q, k, v, precision=Sage2pp(smooth_k=False)))


def test_the_callers_keys_are_left_alone():
    # the mean key was once subtracted in place, from the caller's cache
    q, k, v = qkv()
    copy = k.clone()
    compat.sageattn(q, k, v, is_causal=True)
    assert torch.equal(k, copy)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, Sage2pp()),
        ({"qk_quant_gran": "per_warp"}, Sage2pp(granularity="warp")),
        ({"pv_accum_dtype": "fp32+fp32", "smooth_v": True}, Sage2(smooth_v=True)),
        ({"pv_accum_dtype": "fp32"}, Sage2(accumulate="fp22")),
    ],
    ids=str,
)
def test_fp8_names_its_numbers(options, numbers):
    q, k, v = qkv()
    out = compat.sageattn_qk_int8_pv_fp8_cuda(q, k, v, **options)
    torch.testing.assert_close(out, attention(q, k, v, precision=numbers))


def test_fp16_and_packed_sequences_use_blocks():
    q, k, v = qkv()
    out = compat.sageattn_qk_int8_pv_fp16_triton(q, k, v, is_causal=True, smooth_k=False)
    expected = attention(q, k, v, precision=Sage("B", smooth_k=False), causal=True)
    torch.testing.assert_close(out, expected)
    packed = [x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)]
    cu = torch.tensor([0, 150, 300])
    out = compat.sageattn_varlen(*packed, cu, cu, 150, 150, is_causal=True)
    expected = attention(q, k, v, precision=Sage("B"), causal=True)
    torch.testing.assert_close(out.unflatten(0, (2, 150)).transpose(1, 2), expected)
    with pytest.raises(ValueError, match="max_seqlen_k is 100; expected at least 150"):
        compat.sageattn_varlen(*packed, cu, cu, 150, 100)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dropout_p": 0.1}, ValueError, r"dropout_p is 0\.1; expected 0\.0"),
        ({"smooth_q": True}, TypeError, "unexpected keyword argument 'smooth_q'"),
        ({"tensor_layout": "SBHD"}, ValueError, "tensor_layout is 'SBHD'"),
        ({"sm_scale": 0.1, "scale": 0.2}, ValueError, r"sm_scale is 0\.1 and scale is 0\.2"),
        ({"is_causal": 1}, TypeError, "causal is 1; expected True or False"),
    ],
    ids=["dropout", "unknown", "layout", "scales", "causal"],
)
def test_what_cannot_be_honoured_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        compat.sageattn(*qkv(), **options)


def test_wrong_numbers_and_tensors_are_refused():
    q, k, v = qkv()
    with pytest.raises(ValueError, match="qk_quant_gran is 'per_row'"):
        compat.sageattn_qk_int8_pv_fp8_cuda(q, k, v, qk_quant_gran="per_row")
    with pytest.raises(ValueError, match="pv_accum_dtype is 'fp64'"):
        compat.sageattn_qk_int8_pv_fp8_cuda(q, k, v, pv_accum_dtype="fp64")
    with pytest.raises(ValueError, match="k has 3 dimensions"):
        compat.sageattn(q, k[0], v)
    with pytest.raises(TypeError, match="v is list; expected"):
        compat.sageattn(q, k, v.tolist())
