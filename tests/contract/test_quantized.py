"""Every backend × precision: tight against the reference of the same recipe, loose against float64.

The reference is the definition, so another backend may differ from it by rounding alone: by a
fraction of the error that the precision itself makes. Against float64 the bounds are those that the
precisions promise on N(0, 1) data with a biased K.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from foveate import Int8, Sage, Sage2, Sage2pp, Sage3, SageBwd, TopK, Window, attention
from foveate.attn.formats import Float, Unsigned
from foveate.attn.layouts.bands import band_mask
from foveate.attn.precision import Precision
from tests.contract.cases import SHAPES, Shape, backends, cosine, dense, relative_l1


@dataclass(frozen=True)
class Promise:
    """A precision, and how far it may be from float64."""

    precision: Precision
    relative_l1: float
    cosine: float


PROMISES = [
    Promise(Int8(), 0.02, 0.9998),
    Promise(Int8(smooth_v=False), 0.025, 0.9996),
    Promise(Sage(), 0.02, 0.9998),
    Promise(Sage("vB"), 0.04, 0.999),
    Promise(Sage2(), 0.05, 0.998),
    Promise(Sage2(smooth_v=True), 0.05, 0.998),
    Promise(Sage2(pv="e5m2"), 0.10, 0.995),
    Promise(Sage2(qk_bits=4), 0.25, 0.97),
    Promise(Sage2pp(), 0.05, 0.998),
    Promise(Sage3(), 0.25, 0.97),
    Promise(Sage3(format="mxfp4"), 0.30, 0.95),
    Promise(SageBwd(), 0.02, 0.9998),
    Promise(SageBwd("block"), 0.04, 0.999),
]
NAMES = [str(p.precision) for p in PROMISES]
OTHERS = [
    pytest.param(backend, promise, id=f"{backend}-{promise.precision}")
    for promise in PROMISES
    for backend in backends(promise.precision)
    if backend != "reference"
]


def close_to_reference(q, k, v, backend, precision, exact, **options):
    """Apart from the reference by a fraction of the error that the precision itself makes."""
    out, lse = attention(q, k, v, precision=precision, backend=backend, return_lse=True, **options)
    same, same_lse = attention(
        q, k, v, precision=precision, backend="reference", return_lse=True, **options
    )
    apart, own = relative_l1(out, same.double()), relative_l1(same, exact)
    # 3e-3: eight bits of P permit an exp2 by a short polynomial, whose error shows where P is alone
    assert apart <= 0.25 * own + 3e-3, f"{apart:.2e} from the reference, whose error is {own:.2e}"
    assert (lse.isinf() == same_lse.isinf()).all()
    # a sum of 8-bit codes misses every p that is rounded to 0
    atol = 3e-2 if isinstance(precision.recipe(q.shape[3]).p, Unsigned) else 5e-3
    torch.testing.assert_close(lse, same_lse, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_reference_keeps_its_promise(promise, causal):
    q, k, v = Shape(1, 4, 2, 256, 384, 64).tensors()
    out, lse = attention(
        q, k, v, causal=causal, precision=promise.precision, backend="reference", return_lse=True
    )
    exact, exact_lse = dense(q, k, v, causal=causal)
    assert relative_l1(out, exact) <= promise.relative_l1
    assert cosine(out, exact) >= promise.cosine
    assert relative_l1(lse, exact_lse) <= promise.relative_l1


@pytest.mark.parametrize(("backend", "promise"), OTHERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_match_the_reference(backend, promise, shape):
    q, k, v = shape.tensors()
    close_to_reference(q, k, v, backend, promise.precision, dense(q, k, v)[0])
    exact = dense(q, k, v, causal=True)[0]
    close_to_reference(q, k, v, backend, promise.precision, exact, causal=True)


@pytest.mark.parametrize(("backend", "promise"), OTHERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_dtypes_match_the_reference(backend, promise, dtype):
    q, k, v = Shape(2, 4, 2, 111, 260, 64, order="tokens").tensors(dtype)
    close_to_reference(q, k, v, backend, promise.precision, dense(q, k, v)[0])


@pytest.mark.parametrize(("backend", "promise"), OTHERS)
def test_masks_and_layouts_match_the_reference(backend, promise):
    q, k, v = Shape(2, 4, 2, 130, 300, 64).tensors()
    run = (backend, promise.precision)
    for mask in (torch.rand(2, 1, 130, 300) > 0.3, torch.randn(130, 300)):
        close_to_reference(q, k, v, *run, dense(q, k, v, mask=mask)[0], mask=mask)
    window = Window(70, sink=5)
    exact = dense(q, k, v, pairs=band_mask(window.band(True), (130, 300)))[0]
    close_to_reference(q, k, v, *run, exact, select=window, causal=True)
    # TopK chooses from the data, the same blocks on every backend
    close_to_reference(q, k, v, *run, exact, select=TopK(2, block=(64, 64)))


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
def test_rows_that_see_nothing_give_zero_and_minus_infinity(promise):
    q, k, v = Shape(1, 2, 1, 140, 40, 64).tensors()
    mask = torch.ones(140, 40, dtype=torch.bool)
    mask[120] = False
    for backend in backends(promise.precision):
        out, lse = attention(
            q,
            k,
            v,
            mask=mask,
            causal=True,
            precision=promise.precision,
            backend=backend,
            return_lse=True,
        )
        empty = torch.cat([torch.arange(100), torch.tensor([120])])
        assert (out[:, :, empty] == 0).all()
        assert (lse[:, :, empty] == -torch.inf).all()
        assert lse.isfinite().sum() == 2 * 39


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
@pytest.mark.parametrize("size", [1e-12, 1e6])
def test_tiny_and_huge_values_keep_the_promise(promise, size):
    q, k, v = Shape(1, 2, 2, 130, 260, 64).tensors()
    q, k = q * size, k / size
    if not isinstance(promise.precision.recipe(64).v, Float):  # float16 V has float16's range
        v = v * size
    exact = dense(q, k, v)[0]
    for backend in backends(promise.precision):
        out = attention(q, k, v, precision=promise.precision, backend=backend)
        assert relative_l1(out, exact) <= promise.relative_l1


@pytest.mark.parametrize("promise", PROMISES, ids=NAMES)
def test_constant_and_zero_inputs_are_exact(promise):
    q, k = torch.zeros(1, 2, 70, 64), torch.zeros(1, 2, 130, 64)
    v = torch.full((1, 2, 130, 64), 1.5)  # a value that every format can write
    for backend in backends(promise.precision):
        out, lse = attention(q, k, v, precision=promise.precision, backend=backend, return_lse=True)
        torch.testing.assert_close(out, torch.full_like(out, 1.5), rtol=0.01, atol=0)
        torch.testing.assert_close(lse, torch.full_like(lse, 130).log(), rtol=0, atol=3e-3)
        out = attention(q, k, v * 0, precision=promise.precision, backend=backend)
        assert (out == 0).all()
