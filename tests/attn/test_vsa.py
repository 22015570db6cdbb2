"""VSA: what is chosen, what comes out, and its gradients, against dense matrices."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from foveate import VSA, attention, gated_attention, plan
from foveate.attn.select.top_cubes import best, top_cubes
from foveate.attn.select.vsa import cubes_kept

from .vsa_kit import chosen, coarse_scores, places, video, written_out

RAGGED, EVEN = VSA((5, 9, 10), keep=4), VSA((4, 8, 8), cube=(2, 4, 4), keep=3)
CASES = {
    "ragged": RAGGED,
    "even": EVEN,
    "image": VSA((9, 13), cube=(4, 4), keep=2),
    "balanced": VSA((5, 9, 10), keep=4, balanced=True),
    "other keys": VSA((3, 8, 9), keep=2, kv_grid=(5, 6, 10)),
    "other cubes of keys": VSA((4, 8, 8), keep=3, kv_cube=(2, 4, 2)),
    "one cube": VSA((1, 3, 2), keep=1),
}


def relative(x, y):
    return float((x.double() - y.double()).norm() / y.double().norm())


@pytest.mark.parametrize("scale", [1, 4, 16])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_dense_matrices(name, scale):
    """Of q, k, v and both gates. Large inputs once made gradients explode elsewhere, where logits
    were made anew from keys that had been scaled in few bits."""
    select = CASES[name]
    q, k, v, *gates = video(select)
    inputs = [x.detach().mul(scale).requires_grad_() for x in (q, k)] + [v, *gates]
    out = gated_attention(*inputs[:3], select=select, coarse=inputs[3], fine=inputs[4])
    wide = [x.detach().double().requires_grad_() for x in inputs]
    visits = chosen(select, *(x.detach() for x in inputs[:2]))
    expected = written_out(select, *wide, visits=visits)
    assert relative(out, expected) < 2e-5
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(9))
    mine = torch.autograd.grad((out * weights).sum(), inputs)
    theirs = torch.autograd.grad((expected * weights).sum(), wide)
    for x, y in zip(mine, theirs, strict=True):
        assert (x.double() - y).norm() <= 3e-4 * y.norm() + 1e-4


def test_gradcheck_in_double_precision():
    select = VSA((3, 4, 5), cube=(2, 2, 2), keep=2, coarse=0.3)
    q, k, v, coarse, fine = video(select, (2, 1, 1), 8, 8, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *x: gated_attention(*x[:3], select=select, coarse=x[3], fine=x[4]),
        (q, k, v, coarse, fine),
        fast_mode=True,
    )
    assert torch.autograd.gradcheck(
        lambda *x: attention(*x, select=select), (q, k, v), fast_mode=True
    )


def test_all_cubes_and_a_zero_gate_are_dense_attention():
    select = VSA((5, 9, 10), keep=1.0)
    q, k, v, gate, _ = video(select)
    expected = scaled_dot_product_attention(q, k, v, enable_gqa=True)
    for out in (
        gated_attention(q, k, v, select=select, coarse=torch.zeros_like(gate)),
        gated_attention(q, k, v, select=VSA((5, 9, 10), keep=18), coarse=0),
        attention(q, k, v, select=select),
    ):
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    dense = plan(*(x.detach() for x in (q, k, v)), select=select)
    assert "served dense instead" in dense.explain()


def test_a_zero_gate_learns_and_gives_no_gradient():
    q, k, v, gate, _ = video(RAGGED)
    gate = torch.zeros_like(gate).requires_grad_()
    weights = torch.ones_like(q)
    out = gated_attention(q, k, v, select=RAGGED, coarse=gate)
    dq, dgate = torch.autograd.grad((out * weights).sum(), (q, gate))
    (alone,) = torch.autograd.grad(attention(q, k, v, select=RAGGED).sum(), q)
    torch.testing.assert_close(dq, alone)
    rows, _ = places(RAGGED)
    only = gated_attention(q, k, v, select=RAGGED, coarse=1.0, fine=0.0)
    torch.testing.assert_close(dgate, only)
    for cube in rows.unique():  # the coarse output is one vector for each cube
        part = only[:, :, rows == cube]
        torch.testing.assert_close(part, part[:, :, :1].expand_as(part))


def test_without_gates_nothing_coarse_is_added():
    q, k, v, *_ = (x.detach() for x in video(RAGGED))
    with torch.no_grad():
        bare = attention(q, k, v, select=RAGGED, precision="native")
        half = attention(q, k, v, select=VSA((5, 9, 10), keep=4, coarse=0.5), precision="native")
    torch.testing.assert_close(bare, written_out(RAGGED, q, k, v), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(half, written_out(RAGGED, q, k, v, 0.5), rtol=1e-4, atol=1e-5)
    each = VSA((5, 9, 10), keep=4, coarse=(0.0, 0.5, 1.0, 2.0))
    per_head = torch.tensor(each.coarse).view(-1, 1, 1)
    out = attention(q, k, v, select=each, precision="native")
    torch.testing.assert_close(out, written_out(each, q, k, v, per_head), rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match="coarse"):
        gated_attention(q, k, v, select=RAGGED)


@pytest.mark.parametrize("precision", ["int8", "sage2", "sage2++"])
@pytest.mark.parametrize("select", [RAGGED, EVEN], ids=["ragged", "even"])
def test_any_precision_serves_the_fine_stage(select, precision):
    q, k, v, coarse, fine = (x.detach() for x in video(select, dim=64, v_dim=64))
    out = gated_attention(q, k, v, select=select, coarse=coarse, fine=fine, precision=precision)
    assert relative(out, written_out(select, q, k, v, coarse, fine)) < 0.06


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_strided_inputs(dtype):
    q, k, v, coarse, _ = (x.detach() for x in video(RAGGED, dim=80, v_dim=32))
    few = [x.to(dtype).transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v, coarse)]
    out = gated_attention(*few[:3], select=RAGGED, coarse=few[3], precision="native")
    assert out.dtype == dtype
    wide = [x.float() for x in few]
    visits = chosen(RAGGED, *wide[:2])
    assert relative(out, written_out(RAGGED, *wide, visits=visits)) < 0.02


def test_backends_agree():
    q, k, v, coarse, fine = (x.detach() for x in video(RAGGED))
    outs = [
        gated_attention(
            q, k, v, select=RAGGED, coarse=coarse, fine=fine, precision="native", backend=backend
        )
        for backend in ("reference", "auto")
    ]
    torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-5)


def test_two_runs_give_the_same_gradients():
    inputs = video(EVEN)

    def grads():
        out = gated_attention(*inputs[:3], select=EVEN, coarse=inputs[3], fine=inputs[4])
        return torch.autograd.grad(out.square().sum(), inputs)

    assert all(torch.equal(x, y) for x, y in zip(grads(), grads(), strict=True))


def test_shares_are_rounded_up_to_cubes():
    """Golden: sparsity 0.9 of 364, 0.8 of 364, 0.9 of 624, 0.875 of 256."""
    for sparsity, number, kept in (
        (0.9, 364, 37),
        (0.8, 364, 73),
        (0.9, 624, 63),
        (0.875, 256, 32),
    ):
        assert cubes_kept(1 - sparsity, number) == kept
    # floating point adds a little to 0.1 · 30 and the like, which must not cost a cube
    assert all(
        cubes_kept(1 - (10 - n) / 10, 10 * m) == n * m for n in range(1, 10) for m in (1, 3, 7)
    )
    assert cubes_kept(0.001, 10) == 1


def test_ties_go_to_the_lower_number():
    scores = torch.tensor([[1.0, 3, 1, 3, 1, 1], [0, 0, 0, 0, 0, 0], [5, 4, 3, 2, 1, 0]])
    indices, counts = best(scores.view(1, 1, 3, 6), 3)
    assert indices[0, 0].tolist() == [[0, 1, 3], [0, 1, 2], [0, 1, 2]]
    assert counts.tolist() == [[[3, 3, 3]]]
    inf = float("inf")
    broken = torch.tensor([[-inf, -inf, 2, -inf, inf, inf]]).view(1, 1, 1, 6)
    assert best(broken, 4)[0].flatten().tolist() == [0, 2, 4, 5]


def test_portions_of_rows_change_nothing(monkeypatch):
    q, k = (torch.randn(2, h, 30, 8, generator=torch.Generator().manual_seed(h)) for h in (4, 2))
    whole = top_cubes(q, k, 5, 0.3)
    monkeypatch.setattr("foveate.attn.select.top_cubes._AT_ONCE", 1000)
    for x, y in zip(whole, top_cubes(q, k, 5, 0.3), strict=True):
        assert torch.equal(x, y)


def test_tables_are_as_wide_as_what_is_kept():
    q, k, v, *_ = (x.detach() for x in video(RAGGED))
    layout = plan(q, k, v, select=RAGGED).layout(q, k)
    assert layout.indices.shape == (2, 4, 18, 4)
    assert torch.equal(layout.to_dense(), chosen(RAGGED, q, k))


def test_own_cube_is_always_kept():
    _, k, *_ = (x.detach() for x in video(RAGGED))
    select = VSA((5, 9, 10), keep=3, own=True)
    visits = (
        plan(-k.repeat_interleave(2, 1), k, k, select=select)
        .layout(
            -k.repeat_interleave(2, 1),
            k,  # nobody looks at its own
        )
        .to_dense()
    )
    assert bool(visits.diagonal(dim1=-2, dim2=-1).all())
    assert bool((visits.sum(-1) == 3).all())


def test_mass_keeps_more_where_it_takes_more():
    q, k, v, *_ = (x.detach() for x in video(RAGGED))
    q = 6 * q
    select = VSA((5, 9, 10), keep=2, mass=0.6)
    visits = plan(q, k, v, select=select).layout(q, k).to_dense()
    shares = coarse_scores(select, q, k).softmax(-1)
    held = (shares * visits).sum(-1)
    counts = visits.sum(-1)
    assert bool((held >= 0.6 - 1e-4).all())
    assert 2 == int(counts.min()) < int(counts.max())
    least = shares.masked_fill(~visits, 2).amin(-1)
    assert bool(((held - least < 0.6 + 1e-4) | (counts == 2)).all())  # none too many


def test_sizes_join_the_coarse_scores():
    select = VSA((5, 9, 10), keep=4, sized=True)
    q, k, v, *_ = (x.detach().double() for x in video(select, (1, 1, 1)))
    scores = coarse_scores(select, q, k) + select.keys.sizes().double().log()
    rows, columns = places(select)
    values = torch.stack([v[:, :, columns == n].mean(2) for n in range(18)], 2)
    expected = (scores.softmax(-1) @ values)[:, :, rows]
    out = gated_attention(q, k, v, select=select, coarse=1, fine=0)
    torch.testing.assert_close(out, expected)
    visits = plan(q, k, v, select=select).layout(q, k).to_dense()
    assert torch.equal(
        visits.nonzero()[:, 3].view(-1, 4), scores.topk(4).indices.sort().values.view(-1, 4)
    )


@pytest.mark.parametrize("select", [RAGGED, EVEN], ids=["ragged", "even"])
def test_means_of_cubes_left_out_join_the_fine_stage(select):
    from dataclasses import replace

    better = replace(select, correct=True)
    q, k, v, *_ = video(select, (2, 1, 1), dtype=torch.float64)
    rows, columns = places(select)
    visits = chosen(select, q, k)[:, :, rows]
    sizes = select.keys.sizes().double()
    means = [
        torch.stack([x[:, :, columns == n].mean(2) for n in range(len(sizes))], 2) for x in (k, v)
    ]
    near = (q @ k.transpose(-1, -2) / 4).masked_fill(~visits[..., columns], -torch.inf)
    far = (q @ means[0].transpose(-1, -2) / 4 + sizes.log()).masked_fill(visits, -torch.inf)
    both = torch.cat((near, far), -1)
    expected = both.softmax(-1) @ torch.cat((v, means[1]), 2)
    out, lse = attention(q, k, v, select=better, return_lse=True)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(lse.double(), both.logsumexp(-1), rtol=1e-5, atol=1e-5)
    weights = torch.randn_like(out)
    for x, y in zip(
        torch.autograd.grad((out * weights).sum(), (q, k, v)),
        torch.autograd.grad((expected * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)  # lse is float32
    with torch.no_grad():
        again = attention(q, k, v, select=better)
        torch.testing.assert_close(again, expected, rtol=1e-5, atol=1e-6)


def test_compiled_it_is_the_same():
    inputs = video(EVEN)

    def call(q, k, v, coarse, fine):
        return gated_attention(q, k, v, select=EVEN, coarse=coarse, fine=fine)

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    out, expected = compiled(*inputs), call(*inputs)
    torch.testing.assert_close(out, expected)
    for x, y in zip(
        torch.autograd.grad(out.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(x, y)


def test_choice_travels_as_text():
    from foveate.attn.spelling import read_choice, spell_choice

    select = VSA((5, 9, 10), keep=0.3, coarse=(0.5, 1.0), kv_grid=(1, 2, 3), mass=0.5, sized=True)
    assert read_choice(spell_choice(select, "native", "auto"))[0] == select
    q, k, v, *_ = (x.detach() for x in video(RAGGED))
    compiled = torch.compile(attention, fullgraph=True, backend="aot_eager")
    kept = VSA((5, 9, 10), keep=4, coarse=0.5)
    torch.testing.assert_close(
        compiled(q, k, v, select=kept, precision="native"),
        attention(q, k, v, select=kept, precision="native"),
    )
