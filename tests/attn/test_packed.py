"""PackedKV: what is kept between calls equals what one call would see.

The means that smoothing takes away are those of the first tokens, so appended int8 keys are held to
the method's error, native ones to rounding.
"""

from __future__ import annotations

import pytest
import torch

from foveate import PackedKV, Window, attention
from foveate.attn.layouts.bands import band_mask
from foveate.attn.packed import SETTLE
from foveate.attn.precision import Int8
from tests.contract.cases import Shape, backends, cosine, dense, relative_l1

RUNS = [
    pytest.param(backend, name, id=f"{backend}-{name}")
    for backend in backends()
    for name in ("native", "int8")
]
ERROR = {"native": 2e-6, "int8": 0.025}
LSE = {"native": 2e-5, "int8": 0.03}  # at scale 1/8


def tokens(length: int, dim: int = 64, v_dim: int = 40, dtype=torch.float32):
    """k, v of two kv heads, with a bias in some channels."""
    _, k, v = Shape(1, 2, 2, 1, length, dim, v_dim).tensors(dtype)
    return k, v + 0.5


def queries(length: int, heads: int = 8, dim: int = 64, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(1, heads, length, dim).to(dtype)


def check(kv: PackedKV, q, k, v, precision: str, *, pairs=None, **options) -> None:
    """Attention to the packed tokens against float64 attention to k and v."""
    out, lse = kv.attend(q, return_lse=True, **options)
    plain = {name: x for name, x in options.items() if name != "select"}
    exact, exact_lse = dense(q, k, v, pairs=pairs, **plain)
    assert out.shape == exact.shape
    assert out.dtype == q.dtype
    assert lse.dtype == torch.float32
    assert relative_l1(out, exact) <= ERROR[precision]
    assert cosine(out, exact) >= 1 - ERROR[precision] ** 2
    room = LSE[precision] * 8 * options.get("scale", 1 / 8)
    torch.testing.assert_close(lse.double(), exact_lse, rtol=1e-6, atol=room)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("first", [1, 63, 300, SETTLE - 1, SETTLE, SETTLE + 77])
def test_growth_by_odd_sizes_equals_everything_at_once(backend, precision, first):
    k, v = tokens(SETTLE + 420)
    q = queries(5)
    kv = PackedKV(k[:, :, :first], v[:, :, :first], precision=precision, backend=backend)
    length = first
    for step in (1, 1, 7, 64, 130, 1, 127, 128, 37):
        check(kv, q, k[:, :, :length], v[:, :, :length], precision, causal=True)
        end = min(length + step, k.shape[2])
        kv.append(k[:, :, length:end], v[:, :, length:end])
        length = end
        assert kv.length == length
    check(kv, q, k[:, :, :length], v[:, :, :length], precision, causal=True)


@pytest.mark.parametrize("backend", backends())
def test_token_by_token_across_the_point_where_means_settle(backend):
    k, v = tokens(SETTLE + 140, 32, 32)
    q = queries(1, 4, 32)
    kv = PackedKV(k[:, :, : SETTLE - 3], v[:, :, : SETTLE - 3], precision="native", backend=backend)
    for n in range(SETTLE - 3, SETTLE + 140):
        kv.append(k[:, :, n : n + 1], v[:, :, n : n + 1])
        if n % 16 == 0 or n > SETTLE + 120:
            check(kv, q, k[:, :, : n + 1], v[:, :, : n + 1], "native", causal=True)
    assert kv.length == SETTLE + 140


@pytest.mark.parametrize("precision", [Int8(), Int8(smooth_k=False, smooth_v=False)], ids=str)
def test_before_means_settle_growth_leaves_no_trace(precision):
    if "cpu" not in backends():
        pytest.skip("the C++ extension is not built")
    k, v = tokens(SETTLE - 1)
    q = queries(3)
    kv = PackedKV(k[:, :, :100], v[:, :, :100], precision=precision, backend="cpu")
    for start, end in ((100, 101), (101, 300), (300, SETTLE - 1)):
        kv.append(k[:, :, start:end], v[:, :, start:end])
    out, lse = kv.attend(q, return_lse=True)
    same, same_lse = attention(q, k, v, precision=precision, backend="cpu", return_lse=True)
    assert torch.equal(out, same)
    assert torch.equal(lse, same_lse)


def test_values_that_drift_away_from_the_first_means_stay_right():
    # int8 keeps the means of the first tokens: exact for any vector, only the codes get coarser
    if "cpu" not in backends():
        pytest.skip("the C++ extension is not built")
    k, v = tokens(SETTLE + 600)
    k[:, :, SETTLE:] += 1.0
    v[:, :, SETTLE:] -= 2.0
    q = queries(4)
    kv = PackedKV(k[:, :, :SETTLE], v[:, :, :SETTLE], precision="int8", backend="cpu")
    kv.append(k[:, :, SETTLE:], v[:, :, SETTLE:])
    check(kv, q, k, v, "int8")


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("length", [1, 2, 16, 17, 70])
@pytest.mark.parametrize("heads", [2, 6, 16])
def test_grouped_queries_of_any_number(backend, precision, length, heads):
    k, v = tokens(700)
    kv = PackedKV(k, v, precision=precision, backend=backend)
    check(kv, queries(length, heads), k, v, precision, causal=True)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=lambda d: str(d)[6:])
def test_sixteen_bits(backend, precision, dtype):
    k, v = tokens(600, dtype=dtype)
    kv = PackedKV(k[:, :, :520], v[:, :, :520], precision=precision, backend=backend)
    kv.append(k[:, :, 520:], v[:, :, 520:])
    q = queries(3, dtype=dtype)
    out = kv.attend(q)
    assert out.dtype == dtype
    assert relative_l1(out, dense(q, k, v)[0]) <= ERROR[precision] + 5e-3


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_windows(backend, precision, causal):
    k, v = tokens(600)
    q = queries(9)
    kv = PackedKV(k, v, precision=precision, backend=backend)
    window = Window(100, sink=4)
    pairs = band_mask(window.band(causal), (9, 600))
    check(kv, q, k, v, precision, select=window, causal=causal, pairs=pairs)


MASKS = {
    "keys": lambda: torch.rand(600) > 0.4,
    "pairs": lambda: torch.rand(9, 600) > 0.4,
    "heads": lambda: torch.rand(8, 1, 600) > 0.4,
    "bias": lambda: torch.randn(1, 8, 9, 600),
    "bias of rows": lambda: torch.randn(9, 600),
}


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@pytest.mark.parametrize("kind", MASKS)
def test_masks(backend, precision, kind):
    k, v = tokens(600)
    kv = PackedKV(k, v, precision=precision, backend=backend)
    check(kv, queries(9), k, v, precision, causal=True, mask=MASKS[kind]())


@pytest.mark.parametrize(("backend", "precision"), RUNS)
def test_scale_and_rows_that_see_nothing(backend, precision):
    k, v = tokens(40)
    q = queries(50)
    kv = PackedKV(k, v, precision=precision, backend=backend)
    check(kv, q, k, v, precision, causal=True, scale=0.3)
    out, lse = kv.attend(q, causal=True, return_lse=True)
    assert (out[:, :, :10] == 0).all()
    assert (lse[:, :, :10] == -torch.inf).all()


@pytest.mark.parametrize(("backend", "precision"), RUNS)
def test_changes_to_the_source_have_no_effect(backend, precision):
    k, v = tokens(700)
    q = queries(3)
    first = [x[:, :, :600].clone() for x in (k, v)]
    more = [x[:, :, 600:].clone() for x in (k, v)]
    kv = PackedKV(*first, precision=precision, backend=backend)
    kv.append(*more)
    for x in (*first, *more):
        x.fill_(float("nan"))
    # the last, partly filled tile is encoded anew from what was kept
    kv.append(k[:, :, :5], v[:, :, :5])
    everything = [torch.cat((x, x[:, :, :5]), 2) for x in (k, v)]
    check(kv, q, *everything, precision)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
def test_strided_tensors_are_taken_as_they_are(backend, precision):
    _, k, v = Shape(1, 2, 2, 1, 560, 64, 40, order="tokens").tensors()
    kv = PackedKV(k[:, :, :530], v[:, :, :530], precision=precision, backend=backend)
    last = [x[:, :, 530:].transpose(2, 3).contiguous().transpose(2, 3) for x in (k, v)]
    assert last[0].stride(3) != 1
    kv.append(*last)
    q = queries(4).transpose(2, 3).contiguous().transpose(2, 3)
    check(kv, q, k, v, precision)


def test_other_precisions_can_be_packed_but_not_grow():
    if "cpu" not in backends():
        pytest.skip("the C++ extension is not built")
    k, v = tokens(300)
    q = queries(20)
    for name in ("sage", "sage2", "sage2++", "sage3"):
        kv = PackedKV(k, v, precision=name, backend="cpu")
        assert torch.equal(kv.attend(q), attention(q, k, v, precision=name, backend="cpu"))
        with pytest.raises(ValueError, match=f'precision "{name.replace("+", ".")}" has scales'):
            kv.append(k[:, :, :1], v[:, :, :1])
        assert kv.length == 300


def test_reference_grows_with_any_precision():
    k, v = tokens(300)
    q = queries(20)
    for name in ("native", "sage2", "sage3"):
        kv = PackedKV(k[:, :, :100], v[:, :, :100], precision=name, backend="reference")
        kv.append(k[:, :, 100:], v[:, :, 100:])
        assert torch.equal(kv.attend(q), attention(q, k, v, precision=name, backend="reference"))


def test_nothing_appended_changes_nothing():
    k, v = tokens(100)
    kv = PackedKV(k, v, precision="native")
    kv.append(k[:, :, :0], v[:, :, :0])
    assert kv.length == 100
    check(kv, queries(2), k, v, "native")


def test_repr_says_what_is_held():
    kv = PackedKV(*tokens(600), precision="native", backend="reference")
    assert repr(kv).startswith("PackedKV(native, 1 × 2 heads, 600 tokens, D 64, Dv 40, 0.5 MiB")
    assert 'backend="reference"' in repr(kv)
