"""Every backend, native: against float64, within twice the error of torch's own kernel."""

from __future__ import annotations

import pytest
import torch

from foveate import Band, BlockLayout, TopK, Window, attention, plan
from foveate.attn.layouts.bands import band_mask
from foveate.attn.precision import precision_named
from tests.contract.cases import SHAPES, Shape, backends, check_native, dense

BACKENDS = backends()
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
# scores of 16-bit inputs are summed in float32, but some kernels round q · scale first
LSE = {torch.float32: 2e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def torch_low(q, k, v, **options):
    """torch's own kernel in q's dtype, for the tolerance."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True, **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_shapes_match_float64(backend, shape, causal):
    q, k, v = shape.tensors()
    out, lse = attention(
        q, k, v, causal=causal, precision="native", backend=backend, return_lse=True
    )
    exact, exact_lse = dense(q, k, v, causal=causal)
    pairs = band_mask_or_none(causal, q, k)
    low = torch_low(q, k, v, attn_mask=pairs).nan_to_num(0)
    check_native(out, exact, low)
    torch.testing.assert_close(lse.double(), exact_lse, rtol=1e-5, atol=2e-5)
    assert lse.dtype == torch.float32
    assert out.dtype == q.dtype


def band_mask_or_none(causal, q, k):
    return band_mask(Band(after=0), (q.shape[2], k.shape[2]))[0] if causal else None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[6:])
@pytest.mark.parametrize("order", ["heads", "tokens", "offset"])
def test_dtypes_and_orders_match_float64(backend, dtype, order):
    q, k, v = Shape(2, 4, 2, 111, 129, 64, order=order).tensors(dtype)
    out, lse = attention(q, k, v, precision="native", backend=backend, return_lse=True)
    exact, exact_lse = dense(q, k, v)
    check_native(out, exact, torch_low(q, k, v))
    torch.testing.assert_close(lse.double(), exact_lse, rtol=0, atol=LSE[dtype])
    assert out.dtype == dtype


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("order", ["heads", "tokens", "offset"])
def test_out_lies_in_the_memory_order_of_q(backend, order):
    q, k, v = Shape(2, 4, 2, 33, 65, 64, v_dim=40, order=order).tensors()
    out = attention(q, k, v, precision="native", backend=backend)
    if order == "tokens":
        assert out.transpose(1, 2).is_contiguous()
    else:
        assert out.is_contiguous()


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_are_not_written_to(backend):
    tensors = Shape(1, 4, 2, 63, 65, 64).tensors()
    before = [x.clone() for x in tensors]
    for precision in ("native", "int8"):
        if backend in backends(precision_named(precision)):
            attention(*tensors, precision=precision, backend=backend, causal=True)
    for x, old in zip(tensors, before, strict=True):
        assert torch.equal(x, old)


MASKS = {
    "pairs": lambda q, k: torch.rand(q.shape[2], k.shape[2]) > 0.4,
    "keys": lambda q, k: torch.rand(q.shape[0], 1, 1, k.shape[2]) > 0.4,
    "heads": lambda q, k: torch.rand(q.shape[1], 1, k.shape[2]) > 0.4,
    "rows": lambda q, k: torch.rand(q.shape[0], q.shape[1], q.shape[2], 1) > 0.4,
    "expanded": lambda q, k: (torch.rand(1, 1, q.shape[2], k.shape[2]) > 0.4).expand(
        q.shape[0], q.shape[1], -1, -1
    ),
    "transposed": lambda q, k: (torch.rand(k.shape[2], q.shape[2]) > 0.4).T,
    "additive": lambda q, k: torch.randn(q.shape[0], q.shape[1], q.shape[2], k.shape[2]),
    "alibi": lambda q, k: -0.1 * torch.arange(k.shape[2]).float().flip(0),
    "minus_inf": lambda q, k: torch.zeros(q.shape[2], k.shape[2]).masked_fill(
        torch.rand(q.shape[2], k.shape[2]) > 0.5, float("-inf")
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_masks_match_float64(backend, kind, causal):
    q, k, v = Shape(2, 4, 2, 63, 130, 64).tensors()
    mask = MASKS[kind](q, k)
    out, lse = attention(
        q, k, v, mask=mask, causal=causal, precision="native", backend=backend, return_lse=True
    )
    exact, exact_lse = dense(q, k, v, mask=mask, causal=causal)
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=3e-6)
    torch.testing.assert_close(lse.double(), exact_lse, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_that_see_nothing_give_zero_and_minus_infinity(backend):
    q, k, v = Shape(1, 2, 1, 130, 40, 64).tensors()
    # causal with more queries than keys: the first 90 queries stand before every key
    out, lse = attention(q, k, v, causal=True, precision="native", backend=backend, return_lse=True)
    assert (out[:, :, :90] == 0).all()
    assert (lse[:, :, :90] == -torch.inf).all()
    assert lse[:, :, 90:].isfinite().all()
    mask = torch.ones(130, 40, dtype=torch.bool)
    mask[7] = mask[129] = False
    out, lse = attention(q, k, v, mask=mask, precision="native", backend=backend, return_lse=True)
    assert (out[:, :, [7, 129]] == 0).all()
    assert (lse[:, :, [7, 129]] == -torch.inf).all()
    assert lse.isfinite().sum() == 2 * 128


LAYOUTS = {
    "random": lambda lengths: layout_of(lengths, (64, 128), 0.5),
    "small": lambda lengths: layout_of(lengths, (16, 16), 0.4),
    "odd": lambda lengths: layout_of(lengths, (48, 80), 0.6),
    "wide": lambda lengths: layout_of(lengths, (256, 32), 0.5),
    "heads": lambda lengths: layout_of(lengths, (64, 64), 0.5, batch=2, heads=4),
    "empty": lambda lengths: layout_of(lengths, (64, 64), -1.0),
}


def layout_of(lengths, block, share, batch=1, heads=1):
    grid = [-(-length // size) for length, size in zip(lengths, block, strict=True)]
    return BlockLayout.from_dense(torch.rand(batch, heads, *grid) < share, block, lengths)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_layouts_match_float64(backend, kind, causal):
    q, k, v = Shape(2, 4, 2, 150, 300, 64).tensors()
    layout = LAYOUTS[kind]((150, 300))
    out, lse = attention(
        q, k, v, select=layout, causal=causal, precision="native", backend=backend, return_lse=True
    )
    exact, exact_lse = dense(q, k, v, pairs=layout.to_mask(), causal=causal)
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=3e-6)
    torch.testing.assert_close(lse.double(), exact_lse, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lengths", [(150, 300), (300, 150), (1, 300), (129, 129)], ids=str)
@pytest.mark.parametrize(
    "window", [Window(1), Window(17, 3), Window(100, 65), Window(1000)], ids=str
)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_windows_match_float64(backend, lengths, window, causal):
    q, k, v = Shape(1, 2, 1, *lengths, 64).tensors()
    out = attention(q, k, v, select=window, causal=causal, precision="native", backend=backend)
    exact, _ = dense(q, k, v, pairs=band_mask(window.band(causal), lengths))
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layout_band_and_mask_hold_together(backend):
    q, k, v = Shape(2, 4, 2, 150, 300, 64).tensors()
    band = Band(before=(10, 50, None, 200), after=30, sink=(0, 5, 0, 70))
    layout = layout_of((150, 300), (32, 64), 0.6)
    layout = BlockLayout(layout.counts, layout.indices, layout.block, layout.lengths, band)
    mask = torch.rand(150, 300) > 0.2
    out = attention(
        q, k, v, select=layout, mask=mask, causal=True, precision="native", backend=backend
    )
    exact, _ = dense(q, k, v, pairs=layout.to_mask(), mask=mask, causal=True)
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_top_blocks_match_the_layout_they_chose(backend):
    q, k, v = Shape(1, 4, 2, 200, 300, 64).tensors()
    select = TopK(2, block=(64, 64))
    chosen = plan(q, k, v, select=select, causal=True, precision="native", backend=backend)
    layout = select.layout(q, k, chosen.request, chosen.kernels)
    exact, _ = dense(q, k, v, pairs=layout.to_mask(), causal=True)
    torch.testing.assert_close(chosen.run(q, k, v).double(), exact, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1e-20, 1e-6, 1e4, 1e15], ids=lambda x: f"{x:g}")
def test_tiny_and_huge_values_stay_finite_and_right(backend, size):
    q, k, v = Shape(1, 2, 2, 65, 130, 64).tensors()
    q, v = q * size**0.5, v * size
    out, lse = attention(q, k, v, precision="native", backend=backend, return_lse=True)
    exact, exact_lse = dense(q, k, v)
    low = torch_low(q, k, v)
    check_native(out, exact, low, floor=2e-6 * size)
    torch.testing.assert_close(lse.double(), exact_lse, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1e-3, 0.3, 4.0])
def test_scale_is_honoured(backend, scale):
    q, k, v = Shape(1, 2, 2, 65, 130, 64).tensors()
    out = attention(q, k, v, scale=scale, precision="native", backend=backend)
    check_native(out, dense(q, k, v, scale=scale)[0], torch_low(q, k, v, scale=scale))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (0, 0)], ids=str)
def test_no_queries_or_no_keys_give_empty_or_zero(backend, sizes):
    q, k, v = Shape(2, 4, 2, *sizes, 64, v_dim=24).tensors()
    out, lse = attention(q, k, v, backend=backend, return_lse=True)
    assert out.shape == (2, 4, sizes[0], 24)
    assert (out == 0).all()
    assert (lse == -torch.inf).all()
