"""SageBwd: its formulas in float64, its integers against the plain definition, and its manners."""

from __future__ import annotations

import pytest
import torch

from foveate import VSA, BlockLayout, SageBwd, TopK, Window, attention
from foveate.attn.api import plan
from foveate.attn.backends.reference.encode import encode
from foveate.attn.gradient import gradients
from tests.attn.sagebwd_kit import Exact, Small, plainly
from tests.contract.cases import relative_l1

MODES = (SageBwd(), SageBwd("block"))
IDS = ("axis", "block")
LAYOUT = BlockLayout.from_dense(  # blocks of 12 queries: of 5, 5 and 2 rows
    torch.rand(1, 4, 2, 5, generator=torch.Generator().manual_seed(0)) < 0.6, (12, 7), (20, 33)
)


def leaves(q_length, k_length, heads=(4, 2), dim=8, v_dim=6, dtype=torch.float64, batch=1, seed=3):
    generator = torch.Generator().manual_seed(seed)
    shapes = [
        (batch, heads[0], q_length, dim),
        (batch, heads[1], k_length, dim),
        (batch, heads[1], k_length, v_dim),
    ]
    q, k, v = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return [x.requires_grad_() for x in (q, k + 2, v)]


@pytest.mark.parametrize(
    ("options", "causal"),
    [
        ({}, True),
        ({}, False),
        ({"select": LAYOUT}, True),
        ({"select": Window(5, sink=2, block=(8, 8))}, True),
        ({"mask": torch.rand(20, 33, generator=torch.Generator().manual_seed(1)) > 0.4}, False),
        ({"mask": torch.arange(660.0).sin().view(1, 1, 20, 33).double(), "scale": 0.7}, True),
    ],
    ids=["causal", "full", "layout", "window", "bool mask", "bias"],
)
@pytest.mark.parametrize(
    "how",
    [{}, {"delta": "out", "smooth_k": False}, {"smooth_q": True}, {"mean_term": True}],
    ids=["products", "out", "smooth q", "mean term"],
)
def test_without_integers_the_formulas_pass_gradcheck(options, causal, how):
    def call(*tensors):
        out, lse = attention(
            *tensors, causal=causal, precision=Exact(**how), return_lse=True, **options
        )
        return out, torch.where(lse.isfinite(), lse.double(), 0)

    assert torch.autograd.gradcheck(call, leaves(20, 33), fast_mode=True, atol=1e-4, eps=1e-4)


@pytest.mark.parametrize("mode", IDS)
@pytest.mark.parametrize("delta", ["products", "out"])
@pytest.mark.parametrize("layout", [False, True], ids=["dense", "layout"])
def test_integers_are_those_of_the_plain_definition(mode, delta, layout):
    precision = Small(mode, delta)
    q, k, v = (x.detach() for x in leaves(20, 33, (1, 1)))
    options = {"causal": True, "precision": precision, "backend": "reference"}
    select = BlockLayout(LAYOUT.counts[:, :1], LAYOUT.indices[:, :1], (12, 7), (20, 33))
    select = select if layout else "dense"
    made = plan(q, k, v, select=select, **options)
    out, lse = made.run(q, k, v, return_lse=True)
    dout, dlse = torch.randn_like(out), torch.randn(lse.shape, dtype=torch.float64)
    got = gradients(dout, dlse, q, k, v, out, lse, None, select, precision, True, None, "reference")
    operands = encode(q, k, v, made.request)
    pieces = (operands.q, operands.k)
    written = [x for one in pieces for x in (one.codes.double()[0, 0], one.row_scale()[0, 0])]
    written = [x.expand(len(written[0 if i < 2 else 2]), -1) for i, x in enumerate(written)]
    seen = torch.ones(20, 33, dtype=torch.bool).tril(13)
    starts = [0, 5, 10, 15, 20]
    if layout:
        seen = seen & select.to_mask()[0, 0]
        starts = [0, 5, 10, 12, 17, 20]
    single = [x[0, 0].double() for x in (dout, dlse, v, out, lse, operands.lse_shift)]
    want = plainly(
        made.request.recipe.back,
        written,
        *single,
        operands.k_mean[0, 0, 0],
        seen,
        made.request.scale,
        starts,
    )
    for x, y in zip(got, want, strict=True):
        torch.testing.assert_close(x[0, 0], y, rtol=1e-9, atol=1e-10)


SHAPES = {
    "GQA, ragged": ((70, 130), (4, 2), 40, 24, {}),
    "causal, more keys": ((70, 130), (4, 1), 64, 64, {"causal": True}),
    "causal, fewer keys": ((130, 70), (2, 2), 32, 32, {"causal": True}),
    "one row": ((1, 300), (2, 1), 64, 64, {"causal": True}),
    "window": ((200, 200), (2, 1), 64, 64, {"causal": True, "select": Window(60, sink=4)}),
    "top blocks": ((200, 200), (2, 1), 64, 64, {"select": TopK(3, block=(24, 32))}),
    "mask": ((90, 90), (2, 2), 64, 64, {"mask": torch.arange(90) != 7}),
    "bias, scale": ((90, 90), (2, 2), 64, 64, {"mask": torch.randn(90, 90), "scale": 0.2}),
    "tokens in cubes": (
        (192, 192),
        (2, 2),
        32,
        32,
        {"select": VSA(grid=(6, 4, 8), cube=(2, 4, 4), keep=3)},
    ),
}


@pytest.mark.parametrize("precision", MODES, ids=IDS)
@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_near_the_exact_ones(name, precision):
    lengths, heads, dim, v_dim, options = SHAPES[name]
    tensors = leaves(*lengths, heads, dim, v_dim, torch.float32, batch=2)
    found = []
    for numbers in (precision, "native"):
        out, lse = attention(*tensors, precision=numbers, return_lse=True, **options)
        dout = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        found.append(
            torch.autograd.grad((out * dout).sum() + lse.nan_to_num(0, 0, 0).sum(), tensors)
        )
    for mine, exact in zip(*found, strict=True):
        assert mine.shape == exact.shape
        assert relative_l1(mine, exact.double()) < (0.05 if precision.scales == "axis" else 0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_short_floats_and_any_memory_order_are_served(dtype):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 100, 2, 64, generator=generator).to(dtype) for _ in range(3))
    tensors = [x.transpose(1, 2).requires_grad_() for x in (q, k, v)]
    out = attention(*tensors, precision="sagebwd", causal=True)
    assert out.dtype == dtype
    assert out.stride() == tensors[0].stride()
    grads = torch.autograd.grad(out.float().square().sum(), tensors)
    wide = [x.detach().double().requires_grad_() for x in tensors]
    exact = attention(*wide, precision="native", causal=True)
    for x, y in zip(grads, torch.autograd.grad(exact.square().sum(), wide), strict=True):
        assert x.dtype == dtype
        assert relative_l1(x, y) < 0.05


def test_spans_of_keys_do_not_change_the_result(monkeypatch):
    from foveate.attn.backends.reference import backward_integer

    tensors = leaves(300, 400, dim=16, v_dim=16, dtype=torch.float64)
    found = []
    for room in (2**22, 1):
        monkeypatch.setattr(backward_integer, "SPAN", {"cpu": room})
        out = attention(*tensors, precision="sagebwd", causal=True)
        found.append(torch.autograd.grad(out.square().sum(), tensors))
    for x, y in zip(*found, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-10)


def test_compiles_in_one_graph_and_passes_opcheck():
    tensors = leaves(70, 70, dim=16, v_dim=16, dtype=torch.float32)

    def call(*x):
        return attention(*x, precision=SageBwd(delta="out"), causal=True).square().sum()

    eager = torch.autograd.grad(call(*tensors), tensors)
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")(*tensors)
    for x, y in zip(eager, torch.autograd.grad(compiled, tensors), strict=True):
        torch.testing.assert_close(x, y)
    operator = torch.ops.foveate.attention.default
    choice = "dense|SageBwd(scales='block')|auto"
    torch.library.opcheck(operator, (*tensors, None, None, None, choice, True, None))


@pytest.mark.parametrize("precision", MODES, ids=IDS)
def test_rows_that_see_nothing_get_and_give_no_gradient(precision):
    q, k, v = leaves(9, 4, dim=16, v_dim=16, dtype=torch.float32)
    out, lse = attention(q, k, v, causal=True, precision=precision, return_lse=True)
    assert not out[:, :, :5].any()
    dout, dlse = torch.ones_like(out), torch.zeros_like(lse)
    dlse[:, :, :5] = torch.nan  # whatever comes back through lse = −inf
    grads = torch.autograd.grad((out, lse), (q, k, v), (dout, dlse))
    assert not grads[0][:, :, :5].any()
    assert all(x.isfinite().all() for x in grads)


@pytest.mark.parametrize("precision", MODES, ids=IDS)
def test_zero_gradients_and_repeats(precision):
    tensors = leaves(70, 70, dim=16, v_dim=16, dtype=torch.float32)
    copies = [x.detach().clone() for x in tensors]
    out = attention(*tensors, precision=precision, causal=True)
    zero = torch.autograd.grad(out, tensors, torch.zeros_like(out), retain_graph=True)
    assert not any(x.any() for x in zero)
    first, again = (
        torch.autograd.grad(out, tensors, torch.ones_like(out), retain_graph=True) for _ in "ab"
    )
    assert all(map(torch.equal, first, again))
    assert all(map(torch.equal, tensors, copies))


def test_query_heads_that_share_keys_add_up():
    q, k, v = leaves(70, 90, (4, 2), 16, 16, torch.float64)
    out = attention(q, k, v, precision="sagebwd", causal=True)
    grads = torch.autograd.grad(out.square().sum(), (q, k, v))
    wide = [q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)]
    wide = [x.detach().requires_grad_() for x in wide]
    apart = attention(*wide, precision="sagebwd", causal=True)
    dq, *rest = torch.autograd.grad(apart.square().sum(), wide)
    torch.testing.assert_close(grads[0], dq)
    for x, y in zip(grads[1:], rest, strict=True):
        torch.testing.assert_close(x, y.unflatten(1, (2, 2)).sum(2))
