"""What sparse selections need of the kernels, on every target, against the reference: estimates,
budgets, the second filter, and results merged into others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate import Band, BlockLayout, Window, attention, plan
from foveate.attn.backends import backend_named
from foveate.attn.layouts.budget import Budget
from foveate.attn.layouts.rules import block_regions
from foveate.attn.precision import Int8, Native, Sage2, Sage2pp
from tests.contract.cases import Shape, relative_l1
from tests.cpu.kit import _native, named

CPU, REFERENCE = backend_named("cpu"), backend_named("reference")

# shape, stride, block, causal: ragged ends, groups across borders of blocks, GQA, batches
ESTIMATES = (
    (Shape(1, 2, 1, 256, 256, 64), 16, 128, True),
    (Shape(2, 4, 2, 300, 300, 40, order="tokens"), 8, 64, True),
    (Shape(1, 2, 2, 300, 517, 64), 16, 128, True),
    (Shape(1, 2, 1, 1000, 1000, 16), 8, 128, False),
    (Shape(1, 1, 1, 130, 1031, 33, order="offset"), 4, 64, True),
    (Shape(1, 1, 1, 517, 300, 64), 16, 128, True),
    (Shape(1, 1, 1, 100, 90, 24), 64, 128, False),
    (Shape(1, 2, 1, 5, 10, 256), 16, 128, True),
    (Shape(1, 1, 1, 77, 400, 20), 16, 16, False),
)


@pytest.mark.parametrize(("shape", "stride", "block", "causal"), ESTIMATES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_antidiagonal_masses_match_the_reference(target, shape, stride, block, causal, dtype):
    torch.manual_seed(1)
    q, k, _ = shape.tensors(dtype)
    k = k + 3 * torch.randn(1, 1, 1, k.shape[3]).to(dtype)  # a bias of K must not cost precision
    how = {"factor": 2 * q.shape[3] ** -0.5, "stride": stride, "block": block, "causal": causal}
    mass = CPU.antidiagonal(q, k, **how)
    exact = REFERENCE.antidiagonal(q.double(), k.double(), **how)
    assert mass.shape == exact.shape
    # bytes: a step of 1/127 of the largest value, averaged over `stride` products
    torch.testing.assert_close(mass.double(), exact, rtol=2e-2, atol=8e-3)
    torch.testing.assert_close(mass.sum(-1).double(), exact.sum(-1), rtol=1e-5, atol=1e-5)


def test_antidiagonal_of_huge_float16_does_not_overflow(target):
    """Sums of stride · D products once overflowed where they were kept in float16."""
    q, k, _ = (250 * x for x in Shape(1, 1, 1, 256, 256, 128).tensors())
    how = {"factor": 1e-6, "stride": 16, "block": 128, "causal": False}
    mass = CPU.antidiagonal(q.half(), k.half(), **how)
    torch.testing.assert_close(
        mass.double(), REFERENCE.antidiagonal(q.double(), k.double(), **how), rtol=1e-2, atol=1e-2
    )


@pytest.mark.parametrize("rows", [7, 64, 500], ids=lambda n: f"rows{n}")
@pytest.mark.parametrize("shift", [False, True], ids=["as they are", "minus a mean"])
def test_block_means_match_the_reference(target, rows, shift):
    torch.manual_seed(2)
    for shape in (Shape(2, 3, 3, 150, 150, 64), Shape(1, 2, 2, 301, 301, 33, order="tokens")):
        x = shape.tensors()[0]
        x[:, :, 9] = 0  # a row of zeros points nowhere
        mean = torch.randn(*x.shape[:2], 1, x.shape[3]) if shift else None
        means, alike = CPU.block_means(x, rows, mean, likeness=True)
        want = REFERENCE.block_means(x.double(), rows, mean, likeness=True)
        torch.testing.assert_close(means.double(), want[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(alike.double(), want[1], rtol=1e-5, atol=1e-6)
        assert torch.equal(CPU.block_means(x, rows, mean)[0], means)


SHARES = st.floats(0.05, 1.0, allow_nan=False)
BUDGETS = st.one_of(
    st.builds(
        Budget,
        mass=st.one_of(SHARES, st.tuples(SHARES, SHARES)),
        inclusive=st.booleans(),
        at_least=st.integers(0, 4),
        kept_first=st.booleans(),
    ),
    st.builds(
        Budget,
        share=st.one_of(SHARES.map(lambda x: x / 8), st.just(0.0)),
        at_least=st.integers(0, 4),
        kept_first=st.booleans(),
    ),
    st.builds(
        Budget,
        count=st.one_of(st.integers(1, 9), SHARES),
        kept_first=st.booleans(),
        count_of=st.sampled_from(["all", "visible"]),
    ),
)


@settings(max_examples=150, deadline=None)
@given(BUDGETS, st.booleans(), st.integers(0, 3), st.integers(0, 10**6))
def test_budgets_are_spent_as_in_the_reference(budget, causal, kind, seed):
    """Ties, zeros, NaN and rows without any score included."""
    torch.manual_seed(seed)
    lengths, block = (70, 90), (10, 9)
    allowed, kept = block_regions(Band(after=0) if causal else None, lengths, block)
    scores = torch.rand(2, 2, 7, 10).pow(4)
    if kind == 1:
        scores = (scores * 3).round()  # ties and zeros
    if kind == 2:
        scores[torch.rand_like(scores) < 0.2] = torch.nan
        scores[0, 1, 3] = torch.nan
        scores[1, 0, 2] = 0
    if kind == 3:
        kept = allowed & (torch.rand(2, 2, 7, 10) < 0.2)
    mine = CPU.choose(scores, budget, allowed, kept)
    theirs = REFERENCE.choose(scores, budget, allowed, kept)
    assert torch.equal(mine[0], theirs[0])
    used = torch.arange(10) < mine[0].unsqueeze(-1)
    assert torch.equal(mine[1][used], theirs[1][used])


def with_peaks(shape: Shape) -> tuple[torch.Tensor, ...]:
    """Scores that differ much between tiles, so that some tiles do not matter."""
    q, k, v = shape.tensors()
    strength = 4.0 ** -(torch.arange(k.shape[2]) // 64 % 3)
    return 2 * q, k * strength[:, None], v


@pytest.mark.parametrize("precision", [Native(), Int8(), Sage2(), Sage2pp()], ids=named)
def test_the_second_filter_matches_the_reference(target, precision):
    layout = BlockLayout.from_dense(torch.rand(1, 4, 5, 4) < 0.7, (64, 128), (300, 400))
    for skip in (1.5, (0.5, 3.0, 6.0, 300.0)):
        for causal, select in ((True, None), (False, None), (True, layout)):
            q, k, v = with_peaks(Shape(1, 4, 2, 300, 400, 64))
            request = plan(q, k, v, causal=causal, precision=precision, backend="cpu").request
            request = replace(request, skip=skip, skip_rows=_native.rows())
            tallies = [torch.zeros(1, 4, 2, dtype=torch.int64) for _ in range(2)]
            (out, lse), (want, want_lse) = (
                kernels.attend(kernels.encode(q, k, v, request), request, select, None, tally=tally)
                for kernels, tally in zip((CPU, REFERENCE), tallies, strict=True)
            )
            assert relative_l1(out, want.double()) < 2e-2
            torch.testing.assert_close(lse, want_lse, rtol=1e-3, atol=5e-2)
            assert torch.equal(tallies[0][..., 0], tallies[1][..., 0])
            # a score near the threshold may fall on either side
            apart = (tallies[0] - tallies[1])[..., 1].abs().sum() / tallies[0][..., 0].sum()
            assert apart < 0.02
            assert 0 < tallies[0][..., 1].sum() < tallies[0][..., 0].sum()


def test_a_threshold_that_is_never_met_changes_nothing(target):
    q, k, v = Shape(1, 4, 1, 200, 300, 64).tensors()
    for precision in (Native(), Int8()):
        plain = attention(q, k, v, precision=precision, causal=True, select=Window(90))
        filtered = attention(
            q, k, v, precision=precision, causal=True, select=Window(90, skip=float("inf"))
        )
        assert torch.equal(plain, filtered)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("precision", [Native(), Int8()], ids=named)
def test_results_merge_into_those_of_other_keys(target, precision, dtype):
    """Halves of the keys one after the other are all keys; rows that saw nothing so far as well."""
    q, k, v = Shape(2, 4, 2, 150, 256, 64, v_dim=40).tensors(dtype)
    request = plan(q, k[:, :, :128], v[:, :, :128], precision=precision, backend="cpu").request
    visits = torch.ones(1, 1, 3, 1, dtype=torch.bool)
    visits[:, :, 1] = False  # the second block of queries sees only the other half
    layout = BlockLayout.from_dense(visits, (64, 128), (150, 128))
    out, lse = CPU.attend(
        CPU.encode(q, k[:, :, :128], v[:, :, :128], request), request, layout, None
    )
    CPU.attend(
        CPU.encode(q, k[:, :, 128:], v[:, :, 128:], request), request, None, None, into=(out, lse)
    )
    both = torch.ones(1, 1, 3, 2, dtype=torch.bool)
    both[:, :, 1, 0] = False
    want, want_lse = attention(
        q,
        k,
        v,
        select=BlockLayout.from_dense(both, (64, 128), (150, 256)),
        precision="native",
        return_lse=True,
    )
    limit = 2e-2 if precision == Int8() or dtype == torch.bfloat16 else 1e-5
    assert relative_l1(out, want.double()) < limit
    torch.testing.assert_close(lse, want_lse, rtol=1e-3, atol=2e-2)


def test_layouts_of_single_keys_match_the_reference(target):
    """Blocks of one key: the complement of a selection over block means is such a layout."""
    q, k, v = Shape(1, 2, 1, 200, 70, 64).tensors()
    layout = BlockLayout.from_dense(torch.rand(1, 2, 4, 70) < 0.4, (64, 1), (200, 70))
    mask = torch.rand(1, 1, 1, 70)
    out, want = (
        attention(q, k, v, select=layout, mask=mask, precision="native", backend=name)
        for name in ("cpu", "reference")
    )
    assert relative_l1(out, want.double()) < 1e-5
