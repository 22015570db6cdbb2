"""Every target × every option of every precision, against the reference of the same numbers.

The one thing to know: two correct programs differ where a value lies between two codes. Such a flip
moves a lone key, so each call has a bound with room for a few, and all calls of a precision have a
tight bound on their median.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest
import torch

from foveate import BackendError, BlockLayout, Window, attention, plan
from foveate.attn.backends import backend_named
from foveate.attn.precision import Int8, Native, Precision, Sage, Sage2, Sage2pp, Sage3
from tests.contract.cases import Shape, relative_l1
from tests.cpu.kit import CALLS, PRECISIONS, TARGETS, force, named, reference


def bounds(precision: Precision, target: str) -> tuple[float, float]:
    """Relative L1 to the reference: of any float32 call, and of the median call."""
    match precision:
        case Native():
            return 2e-6, 5e-7
        case Int8() if target == "avx512":
            return 1e-2, 7e-3  # exponents are rounded to 1/64 octave
        case Int8():
            return 1e-3, 5e-4  # exp2 by a cubic: 7.5e-5, and flips of 8-bit P
        case Sage(variant="vB" | "vT"):
            return 2e-3, 5e-4
        case Sage(accumulate="fp16"):
            return 5e-4, 2e-4  # sums of float16 flip too
        case Sage3(format="mxfp4"):
            return 1e-2, 2e-5  # at a power of two the scale of 32 values flips at once
        case Sage3():
            return 3e-3, 5e-5  # the scale of 16 values, by a step of 6 %
    return 5e-4, 5e-5


def sixteen_bits(precision: Precision) -> float:
    """More room for 16-bit inputs: many lie exactly between two codes, and out is rounded."""
    return 1e-2 if isinstance(precision, Sage3) else 1e-3


@pytest.mark.parametrize("precision", PRECISIONS, ids=named)
def test_calls_match_the_reference(target, precision):
    worst, middle = bounds(precision, target)
    errors = []
    for call in CALLS:
        same = reference(call, precision)
        out, lse = attention(
            *same.tensors, precision=precision, backend="cpu", return_lse=True, **same.options
        )
        assert out.dtype == same.out.dtype, call.name
        assert torch.equal(lse.isinf(), same.lse.isinf()), call.name
        apart = relative_l1(out, same.out.double())
        room = sixteen_bits(precision) if call.dtype != torch.float32 else 0.0
        assert apart <= worst + room, f"{call.name}: {apart:.1e} from the reference"
        # a flipped code of 4 bits moves a score by its step
        torch.testing.assert_close(
            lse, same.lse, rtol=1e-5, atol=5e-2 if room else 5e-3, msg=lambda m, c=call: c.name + m
        )
        errors.append(apart)
    assert median(errors) <= middle, f"median {median(errors):.1e}"


@pytest.mark.parametrize("precision", [Sage2(qk_bits=4), Sage3()], ids=named)
@pytest.mark.parametrize("rows", [40, 48, 80, 200, 384])
def test_query_means_and_blocks_of_other_sizes(target, precision, rows):
    """Means belong to 128 queries. A block of the layout that began in one group of 128 and ended
    in the next once took the first one's mean for all its rows."""
    q, k, v = Shape(1, 2, 1, 400, 150, 32).tensors()
    q[:, :, 128:256] += 1
    visits = torch.ones(1, 1, -(-400 // rows), 3, dtype=torch.bool)
    layout = BlockLayout.from_dense(visits, (rows, 64), (400, 150))
    run = {"precision": precision, "return_lse": True}
    out, lse = attention(q, k, v, select=layout, backend="cpu", **run)
    same, same_lse = attention(q, k, v, backend="reference", **run)
    assert relative_l1(out, same.double()) <= 5e-4
    torch.testing.assert_close(lse, same_lse, rtol=1e-5, atol=5e-3)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_warp_of_keys_is_half_a_tile_of_128(target, bits):
    """It once was the whole tile: keys of both halves shared the larger half's scale."""
    q, k, v = Shape(1, 1, 1, 40, 128, 32).tensors()
    k[:, :, 64:] *= 20
    run = {
        "precision": Sage2(bits, "warp", smooth_q=False, smooth_k=False, tile=128),
        "mask": torch.arange(128) < 64,
    }
    out = attention(q, k, v, backend="cpu", **run)
    same = attention(q, k, v, backend="reference", **run)
    assert relative_l1(out, same.double()) <= 5e-4


@pytest.mark.parametrize("smooth_q", [False, True])
def test_the_largest_probability_is_one_in_mxfp4(target, smooth_q):
    """p = 2^0 is a power of two. Computed as 1 − 1e-7 it halved the scale of its group, and was
    written as 0.75: every row's largest probability, on targets that fuse a · score + b."""
    q, k, _ = Shape(1, 1, 1, 64, 32, 32).tensors()
    k[:, :, 5] *= 4
    v = torch.eye(32).view(1, 1, 32, 32)  # out is P itself
    precision = Sage3(format="mxfp4", smooth_q=smooth_q)
    out = attention(q, k, v, precision=precision, backend="cpu")
    same = attention(q, k, v, precision=precision, backend="reference")
    torch.testing.assert_close(out.amax(-1), same.amax(-1), rtol=1e-3, atol=0)


@pytest.mark.parametrize("precision", [Native(), Int8(), Sage2(), Sage2(4), Sage3()], ids=named)
@pytest.mark.parametrize("scale", [-0.3, 0.0])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_kernels_take_any_scale(target, precision, scale, kv_heads):
    # the public call refuses such scales; models that flip a sign meet the kernels by themselves
    q, k, v = Shape(1, 4, kv_heads, 12, 200, 64).tensors()
    request = replace(plan(q, k, v, precision=precision, backend="cpu").request, scale=scale)
    answers = []
    for name in ("cpu", "reference"):
        kernels = backend_named(name)
        answers.append(kernels.attend(kernels.encode(q, k, v, request), request, None, None))
    (out, lse), (same, same_lse) = answers
    assert relative_l1(out, same.double()) <= bounds(precision, target)[0]
    torch.testing.assert_close(lse, same_lse, rtol=1e-5, atol=5e-3)
    if scale == 0:
        mean = v.mean(2, keepdim=True).repeat_interleave(4 // kv_heads, 1)
        torch.testing.assert_close(out, mean.expand_as(out), rtol=0, atol=0.1)


# precisions whose numbers of one row of Q do not depend on its neighbours
ROWS = [Native(), Int8(), Sage("T"), Sage2(granularity="token")]


@pytest.mark.parametrize("precision", ROWS, ids=named)
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)], ids=str)
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17])
def test_decoding_gives_the_rows_of_the_long_call(target, precision, heads, length):
    """Rows of grouped heads are folded up to 16 queries; no number depends on that."""
    q, k, v = Shape(2, *heads, 64, 300, 64).tensors()
    run = {"causal": True, "precision": precision, "backend": "cpu", "return_lse": True}
    whole, whole_lse = attention(q, k, v, **run)
    out, lse = attention(q[:, :, 64 - length :], k, v, **run)
    # which P shares a tile's maximum does not change; only the order of sums may
    torch.testing.assert_close(out, whole[:, :, 64 - length :], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lse, whole_lse[:, :, 64 - length :], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("precision", [Native(), Int8(), Sage2(), Sage3()], ids=named)
@pytest.mark.parametrize("order", ["heads", "tokens", "offset"])
def test_memory_order_changes_nothing(target, precision, order):
    shape = Shape(2, 4, 2, 33, 150, 40, v_dim=24)
    torch.manual_seed(1)
    plain = attention(*shape.tensors(), precision=precision, backend="cpu")
    torch.manual_seed(1)
    out = attention(*replace(shape, order=order).tensors(), precision=precision, backend="cpu")
    assert torch.equal(out, plain)
    assert (out.transpose(1, 2) if order == "tokens" else out).is_contiguous()


@pytest.mark.parametrize("precision", [Native(), Int8(), Sage2(), Sage3()], ids=named)
def test_window_equals_its_mask(target, precision):
    q, k, v = Shape(1, 4, 2, 150, 260, 32).tensors()
    window = Window(40, sink=7)
    far = torch.arange(150).view(-1, 1) + 110 - torch.arange(260)
    mask = (far >= 0) & ((far < 40) | (torch.arange(260) < 7))
    run = {"precision": precision, "backend": "cpu", "return_lse": True}
    out, lse = attention(q, k, v, select=window, causal=True, **run)
    same, same_lse = attention(q, k, v, mask=mask, **run)
    # with a mask, int8 takes its exponents from floats
    apart = 1e-2 if isinstance(precision, Int8) else 1e-4
    assert relative_l1(out, same.double()) <= apart
    torch.testing.assert_close(lse, same_lse, rtol=1e-5, atol=apart)


def test_every_target_is_tested():
    from foveate import _native

    assert set(TARGETS) == set(_native.available()) <= set(_native.built())
    assert "portable" in TARGETS
    for name in TARGETS:
        force(name)
        assert _native.active() == name
    force("")
    assert _native.active() == TARGETS[0]
    with pytest.raises(ValueError, match=r'unknown CPU target "sse9"; .* offer .*portable'):
        _native.set_target("sse9")
    assert _native.active() == TARGETS[0]


def test_packed_keys_keep_their_target():
    """Their layout depends on the target, so another one must not read them."""
    from foveate import PackedKV

    q, k, v = Shape(1, 4, 2, 3, 200, 64).tensors()
    for first in TARGETS:
        force(first)
        kv = PackedKV(k, v, precision="native", backend="cpu")
        expected = kv.attend(q)
        for other in TARGETS:
            force(other)
            torch.testing.assert_close(kv.attend(q), expected, rtol=0, atol=0)
    force("")


REFUSED = {
    "quantized": Sage2(denominator="quantized"),
    "quantized++": Sage2pp(denominator="quantized"),
}


@pytest.mark.parametrize("precision", REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_refused_with_its_reason(precision):
    tensors = Shape(1, 1, 1, 8, 64, 32).tensors()
    with pytest.raises(BackendError, match=r'denominator="exact".*backend="reference" can'):
        attention(*tensors, precision=precision, backend="cpu")
