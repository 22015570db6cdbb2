"""Random shapes, strides, masks and values at every backend × precision.

Finite inputs give finite outputs that match the reference. A NaN reaches every row that sees it and
no other head. Infinite, huge and denormal values never crash and never leave their own head.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foveate import BlockLayout, Int8, Native, Sage, Sage2, Sage2pp, Sage3, Window, attention
from foveate.attn.formats import Float
from tests.contract.cases import Shape, backends, relative_l1

PRECISIONS = [Native(), Int8(), Sage(), Sage("vT"), Sage2(), Sage2(4), Sage2pp(), Sage3()]
RUNS = [
    pytest.param(backend, precision, id=f"{backend}-{precision.name}-{n}")
    for n, precision in enumerate(PRECISIONS)
    for backend in backends(precision)
]
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,  # the same examples on every machine
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@dataclass(frozen=True)
class Call:
    """One random call; tensors follow from the seed."""

    shape: Shape
    dtype: torch.dtype
    causal: bool
    mask: str | None
    select: str
    seed: int

    def options(self) -> dict:
        lengths = (self.shape.q_length, self.shape.k_length)
        masks = {
            None: lambda: None,
            "bool": lambda: torch.rand(lengths) > 0.3,
            "keys": lambda: torch.rand(self.shape.batch, 1, 1, lengths[1]) > 0.3,
            "additive": lambda: torch.randn(1, self.shape.q_heads, *lengths),
        }
        selects = {
            "dense": lambda: "dense",
            "window": lambda: Window(1 + self.seed % 90, sink=self.seed % 7, block=(16, 32)),
            "layout": lambda: random_layout(lengths, (8 << self.seed % 4, 16 << self.seed % 4)),
        }
        return {
            "causal": self.causal,
            "mask": masks[self.mask](),
            "select": selects[self.select](),
        }


def random_layout(lengths: tuple[int, int], block: tuple[int, int]) -> BlockLayout:
    grid = [-(-length // size) for length, size in zip(lengths, block, strict=True)]
    return BlockLayout.from_dense(torch.rand(1, 1, *grid) > 0.4, block, lengths)


@st.composite
def calls(draw) -> Call:
    kv_heads = draw(st.integers(1, 3))
    shape = Shape(
        batch=draw(st.integers(1, 2)),
        q_heads=kv_heads * draw(st.integers(1, 3)),
        kv_heads=kv_heads,
        q_length=draw(st.integers(1, 150)),
        k_length=draw(st.integers(1, 280)),
        dim=draw(st.integers(8, 130)),
        v_dim=draw(st.integers(1, 130)),
        order=draw(st.sampled_from(["heads", "tokens", "offset"])),
    )
    return Call(
        shape,
        draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16])),
        draw(st.booleans()),
        draw(st.sampled_from([None, "bool", "keys", "additive"])),
        draw(st.sampled_from(["dense", "window", "layout"])),
        draw(st.integers(0, 2**16)),
    )


def run(tensors, precision, backend, options):
    return attention(*tensors, precision=precision, backend=backend, return_lse=True, **options)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@EXAMPLES
@given(call=calls(), exponent=st.integers(-30, 30))
def test_finite_inputs_match_the_reference(backend, precision, call, exponent):
    torch.manual_seed(call.seed)
    q, k, v = call.shape.tensors(call.dtype)
    if call.dtype != torch.float16 and not isinstance(precision.recipe(64).v, Float):
        v = v * 2.0**exponent
    options = call.options()
    out, lse = run((q, k, v), precision, backend, options)
    assert out.isfinite().all()
    assert not lse.isnan().any()
    assert out.shape == (*q.shape[:3], v.shape[3])
    same, same_lse = run((q, k, v), precision, "reference", options)
    assert (lse.isinf() == same_lse.isinf()).all()
    if same.any():
        # rounding a code the other way moves a lone output by up to one step of the format
        assert relative_l1(out, same.double()) <= 0.03
    rows = same_lse.isfinite()
    torch.testing.assert_close(lse[rows], same_lse[rows], rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@EXAMPLES
@given(call=calls(), where=st.sampled_from("qkv"))
def test_nan_reaches_all_who_see_it_and_no_other_head(backend, precision, call, where):
    torch.manual_seed(call.seed)
    tensors = dict(zip("qkv", call.shape.tensors(call.dtype), strict=True))
    options = call.options()
    clean, clean_lse = run(tensors.values(), precision, backend, options)
    spoilt = dict(tensors)
    spoilt[where] = tensors[where].clone()
    length = tensors[where].shape[2]
    place = call.seed % length
    spoilt[where][0, 0, place, 0] = float("nan")
    out, lse = run(spoilt.values(), precision, backend, options)

    groups = call.shape.q_heads // call.shape.kv_heads
    hit = torch.zeros(call.shape.batch, call.shape.q_heads, dtype=torch.bool)
    hit[0, : 1 if where == "q" else groups] = True
    assert torch.equal(out[~hit], clean[~hit])
    assert torch.equal(lse[~hit], clean_lse[~hit])

    if where == "q":
        seen = clean_lse[0, 0, place].isfinite()
        if seen:
            assert out[0, 0, place].isnan().any()
    else:
        # v one-hot at the place shows who gives it weight
        probe = torch.zeros_like(tensors["v"][..., :1])
        probe[0, 0, place] = 1
        weight, _ = run((tensors["q"], tensors["k"], probe), Native(), "reference", options)
        for head in range(groups):
            rows = weight[0, head, :, 0] > 1e-3
            assert out[0, head][rows].isnan().any(-1).all()


@pytest.mark.parametrize(("backend", "precision"), RUNS)
@EXAMPLES
@given(
    call=calls(),
    where=st.sampled_from("qkv"),
    value=st.sampled_from([float("inf"), -float("inf"), 1e38, -3e38, 1e-40, -1e-45, 6e4]),
    many=st.booleans(),
)
def test_extreme_values_never_crash_and_stay_in_their_head(
    backend, precision, call, where, value, many
):
    torch.manual_seed(call.seed)
    tensors = dict(zip("qkv", call.shape.tensors(call.dtype), strict=True))
    options = call.options()
    clean, _ = run(tensors.values(), precision, backend, options)
    spoilt = dict(tensors)
    spoilt[where] = tensors[where].clone()
    spoilt[where][0, 0, :: 1 if many else 10_000] = value
    out, lse = run(spoilt.values(), precision, backend, options)
    hit = torch.zeros(call.shape.batch, call.shape.q_heads, dtype=torch.bool)
    hit[0, : call.shape.q_heads // call.shape.kv_heads] = True
    assert torch.equal(out[~hit], clean[~hit])
    if abs(value) < 1e-30:  # denormals are ordinary finite numbers
        assert out.isfinite().all()
        assert not lse.isnan().any()
