"""The public call: defaults, plans, explanations, and what is not copied or changed."""

from __future__ import annotations

import inspect

import pytest
import torch

import foveate
from foveate import Band, BlockLayout, Int8, Native, Plan, Sage2, TopK, Window, attention, plan
from foveate.attn import backends
from foveate.attn.backends import backend_named
from foveate.attn.precision import precision_named


def qkv(length=32, heads=4, kv_heads=2, k_length=None, dtype=torch.float32):
    q = torch.randn(1, heads, length, 64, dtype=dtype)
    k, v = (torch.randn(1, kv_heads, k_length or length, 64, dtype=dtype) for _ in range(2))
    return q, k, v


def test_default_call_matches_torch():
    q, k, v = qkv()
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    torch.testing.assert_close(attention(q, k, v), expected, rtol=1e-5, atol=2e-6)


def test_causal_aligns_at_the_end():
    q, k, v = qkv(length=3, k_length=10)
    out = attention(q, k, v, causal=True, precision="native")
    for i in range(3):
        row = attention(q[:, :, i : i + 1], k[:, :, : 8 + i], v[:, :, : 8 + i], precision="native")
        torch.testing.assert_close(out[:, :, i : i + 1], row, rtol=1e-5, atol=2e-6)


def test_lse_is_natural_and_comparable_across_precisions():
    q, k, v = qkv(length=64, k_length=300)
    k = k + 3  # smoothing takes this away and must put it back into lse
    scores = q @ k.repeat_interleave(2, 1).transpose(-1, -2) / 8
    for name in ("native", "int8", "sage", "sage2", "sage2++"):
        _, lse = attention(q, k, v, precision=name, return_lse=True)
        torch.testing.assert_close(lse, scores.logsumexp(-1), rtol=0, atol=0.05)


def test_plan_takes_the_arguments_of_attention():
    ours, theirs = (inspect.signature(f).parameters for f in (plan, attention))
    assert list(ours) == list(theirs)
    assert all(ours[n].default == theirs[n].default for n in ours)


def test_plan_runs_like_the_call():
    q, k, v = qkv(length=64)
    mask = torch.rand(64, 64) > 0.3
    layout = BlockLayout.from_dense(torch.rand(1, 1, 4, 4) > 0.3, (16, 16), (64, 64))
    for options in (
        {},
        {"causal": True, "precision": "int8"},
        {"select": Window(8, sink=2), "causal": True},
        {"select": layout, "precision": Sage2(qk_bits=4)},
        {"scale": 0.5, "mask": mask},
    ):
        made = plan(q, k, v, **options)
        out, lse = made.run(q, k, v, options.get("mask"), return_lse=True)
        expected, expected_lse = attention(q, k, v, return_lse=True, **options)
        assert torch.equal(out, expected)
        assert torch.equal(lse, expected_lse)
        assert torch.equal(made.run(q, k, v, options.get("mask")), expected)


def test_plan_is_cached_frozen_and_without_data():
    q, k, v = qkv()
    first, second = plan(q, k, v), plan(*qkv())
    assert first is second
    with pytest.raises(AttributeError):
        first.select = "dense"
    assert not any(isinstance(x, torch.Tensor) for x in vars(first).values())
    assert isinstance(first, Plan)


def test_explain_names_every_choice_and_its_reason():
    q, k, v = qkv(length=40, k_length=300)
    window = Window(64, sink=4, block=(64, 32))
    text = plan(q, k, v, select=window, causal=True, backend="reference").explain()
    assert "q [1, 4, 40, 64]  k [1, 2, 300, 64]" in text
    assert f"{window}, visits 50.0% of the blocks" in text
    assert "precision   Native()" in text
    assert "the reference backend gains nothing from fewer bits" in text
    assert "backend     reference" in text
    assert "causal, aligned at the end; no mask; scale 0.125" in text
    text = plan(q, k, v, select=TopK(2), mask=torch.ones(40, 300)).explain()
    assert "density known only from the data" in text
    assert "mask additive" in text
    layout = BlockLayout.from_dense(torch.ones(1, 1, 3, 3).bool(), (16, 128), (40, 300))
    assert "density=1.000" in plan(q, k, v, select=layout).explain()


def test_explain_says_why_a_backend_was_passed_over():
    text = plan(*qkv(dtype=torch.float64)).explain()
    assert "float64 asks for exact numbers" in text
    assert "passed over cpu: " in text


def test_too_small_input_is_served_dense_and_said_so():
    q, k, v = qkv(length=40, k_length=100)
    made = plan(q, k, v, select=TopK(1))
    assert made.select.name == "dense"
    assert "served dense instead of TopK(k=1, block=(128, 128)): 100 keys make 1 block" in (
        made.explain()
    )
    assert torch.equal(made.run(q, k, v), attention(q, k, v))


def fake_cpu(monkeypatch, fast, refusal=None):
    class Fast:
        name = "cpu"
        fast_int8 = fast

        def refuses(self, request):
            return refusal

    real = backends.backend_named
    monkeypatch.setattr(backends, "backend_named", lambda n: Fast() if n == "cpu" else real(n))
    monkeypatch.setattr("foveate.attn.choices.backend_named", backends.backend_named)
    backends.refresh()


@pytest.mark.parametrize(
    ("fast", "refusal", "k_length", "dtype", "expected"),
    [
        (True, None, 256, torch.float32, Int8()),
        (True, None, 256, torch.bfloat16, Int8()),
        (True, None, 255, torch.float32, Native()),
        (False, None, 256, torch.float32, Native()),
        (True, "is not built", 256, torch.float32, Native()),
        (True, None, 256, torch.float64, Native()),
    ],
)
def test_auto_precision_is_int8_only_where_it_pays(
    monkeypatch, fast, refusal, k_length, dtype, expected
):
    fake_cpu(monkeypatch, fast, refusal)
    made = plan(*qkv(k_length=k_length, dtype=dtype))
    backends.refresh()
    assert made.precision == expected


def test_auto_stays_within_its_bound():
    q, k, v = (torch.randn(1, 2, 512, 64) for _ in range(3))
    out = attention(q, k, v).double()
    exact = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double())
    assert (out - exact).abs().sum() / exact.abs().sum() <= 0.02


def test_refresh_makes_plans_anew():
    first = plan(*qkv())
    backends.refresh()
    assert plan(*qkv()) is not first


@pytest.mark.parametrize("block", [(5, 7), (1, 1), (24, 100)], ids=str)
def test_auto_serves_layouts_of_any_block_size(block):
    q, k, v = qkv(length=50, k_length=300)
    grid = [-(-length // size) for length, size in zip((50, 300), block, strict=True)]
    layout = BlockLayout.from_dense(torch.rand(1, 1, *grid) > 0.5, block, (50, 300))
    out = attention(q, k, v, select=layout, causal=True)
    expected = attention(q, k, v, select=layout, causal=True, backend="reference")
    assert (out - expected).abs().mean() <= 0.03 * expected.abs().mean()


def test_auto_serves_a_band_in_a_layout_beside_causal():
    q, k, v = qkv(length=50, k_length=300)
    whole = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    for band in (Band(before=9), Band(before=9, after=-3, sink=4), Band(after=40, sink=90)):
        layout = BlockLayout.from_dense(whole, (64, 300), (50, 300), band)
        out = attention(q, k, v, select=layout, causal=True)
        expected = attention(q, k, v, mask=layout.to_mask(), causal=True, backend="reference")
        assert (out - expected).abs().mean() <= 0.03 * expected.abs().mean()


def test_precision_names_stand_for_defaults():
    q, k, v = qkv(length=64)
    for name in ("native", "int8", "sage", "sage2", "sage2++", "sage3"):
        by_name = attention(q, k, v, precision=name, backend="reference")
        by_value = attention(q, k, v, precision=precision_named(name), backend="reference")
        assert torch.equal(by_name, by_value)


def test_last_dimension_with_a_stride_is_served_too():
    q, k, v = qkv()
    odd = [x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in (q, k, v)]
    assert odd[0].stride(-1) != 1
    torch.testing.assert_close(attention(*odd), attention(q, k, v))


def test_views_reach_the_backend_without_copies(monkeypatch):
    x = torch.randn(1, 32, 3, 4, 64)
    q, k, v = x.permute(2, 0, 3, 1, 4)  # a fused projection, as models make it
    seen = {}
    kernels = backend_named("reference")
    encode = type(kernels).encode

    def spy(self, q, k, v, request):
        seen.update(q=q, k=k, v=v)
        return encode(self, q, k, v, request)

    monkeypatch.setattr(type(kernels), "encode", spy)
    attention(q, k, v, backend="reference", precision="native")
    for name, tensor in zip("qkv", (q, k, v), strict=True):
        assert seen[name].data_ptr() == tensor.data_ptr()
        assert seen[name].stride() == tensor.stride()


def test_expanded_views_are_served():
    q, k, v = qkv(kv_heads=1)
    wide = [x.expand(-1, 4, -1, -1) for x in (k, v)]
    torch.testing.assert_close(attention(q, *wide), attention(q, k, v), rtol=1e-5, atol=2e-6)


def test_inference_mode_and_its_tensors_are_served():
    with torch.inference_mode():
        q, k, v = qkv()
        inside = attention(q, k, v, select=Window(5), causal=True)
    # the window's tables were made and cached inside; they must serve outside as well
    outside = attention(*(x.clone() for x in (q, k, v)), select=Window(5), causal=True)
    assert torch.equal(inside, outside)


def test_public_names_are_all_there():
    for name in foveate.__all__:
        assert getattr(foveate, name) is not None
    assert {*foveate.__all__, "accelerate"} <= set(dir(foveate))
    with pytest.raises(AttributeError, match="has no attribute 'attend'"):
        foveate.attend  # noqa: B018 - reading it is the test
