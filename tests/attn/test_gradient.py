"""Training through attention: autograd, compile, and what has no way back."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from foveate import BlockLayout, Hilbert, Sparge, TopK, Window, XAttention, attention

LAYOUT = BlockLayout.from_dense(
    torch.rand(1, 4, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.6, (8, 7), (20, 33)
)


def leaves(*lengths, heads=(4, 2, 2), dim=8, dtype=torch.float64, batch=2):
    torch.manual_seed(3)
    return [
        torch.randn(batch, h, n, dim, dtype=dtype, requires_grad=True)
        for h, n in zip(heads, lengths, strict=True)
    ]


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"select": LAYOUT},
        {"select": Window(5, sink=2, block=(8, 8))},
        {"mask": torch.rand(20, 33) > 0.4},
        {"mask": torch.randn(1, 4, 20, 33, dtype=torch.float64), "scale": 0.7},
    ],
    ids=["dense", "layout", "window", "bool mask", "bias"],
)
def test_gradcheck_in_double_precision(options, causal):
    q, k, v = leaves(20, 33, 33, batch=1)
    assert torch.autograd.gradcheck(
        lambda *x: attention(*x, causal=causal, **options), (q, k, v), fast_mode=True
    )


def test_gradients_are_those_of_torch():
    q, k, v = leaves(300, 300, 300, dim=32, dtype=torch.float32)
    loss = attention(q, k, v, causal=True).square().sum()
    mine = torch.autograd.grad(loss, (q, k, v))
    wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
    out = scaled_dot_product_attention(*wide, is_causal=True, enable_gqa=True)
    theirs = torch.autograd.grad(out.square().sum(), wide)
    for x, y in zip(mine, theirs, strict=True):
        torch.testing.assert_close(x.double(), y, rtol=1e-4, atol=1e-5)


def test_lse_has_a_gradient():
    q, k, v = leaves(40, 50, 50, dtype=torch.float32)
    _, lse = attention(q, k, v, causal=True, return_lse=True)
    dq, dk, dv = torch.autograd.grad(lse.sin().sum(), (q, k, v))
    scores = q @ k.repeat_interleave(2, 1).transpose(-1, -2) * 8**-0.5
    hidden = torch.arange(50) > torch.arange(40)[:, None] + 10
    want = scores.masked_fill(hidden, -torch.inf).logsumexp(-1)
    for x, y in zip((dq, dk), torch.autograd.grad(want.sin().sum(), (q, k)), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
    assert not dv.any()


@pytest.mark.parametrize(
    ("select", "causal"),
    [
        (TopK(1, block=(64, 32)), True),
        (Sparge(0.5, block=(64, 32)), True),
        (Sparge(0.5, block=(64, 32), order=Hilbert((1, 16, 12))), False),
        (XAttention(0.5, stride=8, block=32), True),
    ],
    ids=["topk", "sparge", "sparge in another order", "xattention"],
)
def test_blocks_are_chosen_the_same_way_back(select, causal):
    """Against autograd through a dense softmax of the pairs that the forward visited."""
    from foveate import plan

    q, k, v = leaves(192, 192, 192, dim=16, dtype=torch.float32)
    how = {"select": select, "causal": causal, "precision": "native"}
    layout = plan(q.detach(), k.detach(), v.detach(), **how).layout(q.detach(), k.detach())
    seen = layout.to_mask()
    if getattr(select, "order", None) is not None:
        back = select.order.inverse(192, seen.device)
        seen = seen[:, :, back][..., back]
    if causal:
        seen = seen & torch.ones(192, 192, dtype=torch.bool).tril()
    assert not seen.all()
    mine = torch.autograd.grad(attention(q, k, v, **how).square().sum(), (q, k, v))
    out = scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)
    for x, y in zip(mine, torch.autograd.grad(out.square().sum(), (q, k, v)), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=2e-5)


def test_training_works_compiled_and_passes_opcheck():
    q, k, v = leaves(70, 70, 70, dtype=torch.float32)
    call = lambda *x: attention(*x, select=Window(20), causal=True).square().sum()  # noqa: E731
    eager = torch.autograd.grad(call(q, k, v), (q, k, v))
    compiled = torch.autograd.grad(
        torch.compile(call, fullgraph=True, backend="aot_eager")(q, k, v), (q, k, v)
    )
    for x, y in zip(eager, compiled, strict=True):
        torch.testing.assert_close(x, y)
    operator = torch.ops.foveate.attention.default
    torch.library.opcheck(operator, (q, k, v, None, None, None, "dense|native|auto", True, None))


def test_a_row_that_sees_nothing_gets_no_gradient():
    q, k, v = leaves(9, 4, 4, dtype=torch.float32)
    grads = torch.autograd.grad(attention(q, k, v, causal=True).sum(), (q, k, v))
    assert all(x.isfinite().all() for x in grads)
    assert not grads[0][:, :, :5].any()


REFUSED = {
    "int8": ({"precision": "int8"}, 'precision "int8" has no backward pass'),
    "second filter": ({"select": Window(9, skip=4.0)}, "select has skip set"),
    "correction": ({"select": Sparge(correct=True)}, "select has correct set"),
    "mask": ({"mask": torch.zeros(20, 20, requires_grad=True)}, "mask requires grad"),
    "layout": (
        {
            "select": BlockLayout(
                torch.ones(1, 1, 1, dtype=torch.int32),
                torch.zeros(1, 1, 1, 1, dtype=torch.int32),
                (20, 20),
                (20, 20),
                skip=2.0,
            )
        },
        "select has skip set",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_way_back_is_refused_with_one(name):
    options, text = REFUSED[name]
    q, k, v = leaves(20, 20, 20, dtype=torch.float32)
    with pytest.raises(ValueError, match=text):
        attention(q, k, v, **options)
    with torch.no_grad():
        assert not attention(q, k, v, **options).requires_grad
