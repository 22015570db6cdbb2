"""Estimates of the reference: against loops over tokens, written as plainly as can be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.attn.backends import backend_named
from tests.attn.kit import waves

REFERENCE = backend_named("reference")


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


def close(found, *values, tolerance=1e-5):
    torch.testing.assert_close(found, rows(*values), rtol=0, atol=tolerance)


def test_golden_likeness():
    q, k = waves(20)
    close(REFERENCE.block_means(q, 8, likeness=True)[1][0, 0], 0.939117, 0.891791, 0.985033)
    k = k - k.mean(2, keepdim=True)
    found = REFERENCE.block_means(k, 4, likeness=True)[1][0, 0]
    close(found, 0.987392, 0.983086, 0.705688, 0.959001, 0.996045)


@pytest.mark.parametrize(
    ("temperature", "causal", "expected"),
    [
        (
            1.0,
            True,
            [
                [2, 0, 0, 0],
                [1.204538, 0.795462, 0, 0],
                [0.157595, 0.584621, 1.257784, 0],
                [0.195552, 0.274299, 0.657880, 0.872269],
            ],
        ),
        (
            1.0,
            False,
            [
                [1.679561, 0.293693, 0.022641, 0.004104],
                [0.977369, 0.687928, 0.271386, 0.063318],
                [0.071496, 0.266034, 0.831831, 0.830640],
                [0.182472, 0.238488, 0.523086, 1.055955],
            ],
        ),
        (
            2.0,  # √S: the temperature of the paper
            True,
            [
                [2, 0, 0, 0],
                [1.225708, 0.774292, 0, 0],
                [0.027138, 0.353906, 1.618956, 0],
                [0.076935, 0.105651, 0.524107, 1.293307],
            ],
        ),
    ],
    ids=["causal", "all", "paper"],
)
def test_golden_antidiagonal_masses(temperature, causal, expected):
    q, k = waves(32)
    how = {"factor": 0.5 * temperature, "stride": 4, "causal": causal}
    close(REFERENCE.antidiagonal(q, k, block=8, **how)[0, 0], *expected)
    if causal and temperature == 1:  # the cells themselves are blocks of one stride
        cells = REFERENCE.antidiagonal(q, k, block=4, **how)[0, 0]
        close(cells[2, :3], 0.393842, 0.374163, 0.231995)
        close(cells[4, :5], 0.046488, 0.076144, 0.144348, 0.276755, 0.456266)


def plain_antidiagonal(q, k, factor, stride, block, causal):
    """The definition of the contract, one pair of tokens at a time; one head, float64."""
    (lq, _), lk = q.shape, k.shape[0]
    shift = lk - lq
    mass = torch.zeros(-(-lq // block), -(-lk // block), dtype=torch.float64)
    columns = range(-(-lk // stride))
    for group in range(shift // stride, (lk - 1) // stride + 1):
        logits = {}
        for column in columns:
            if causal and column > group:
                continue
            found = []
            for t in range(stride):
                i, j = group * stride + stride - 1 - t - shift, column * stride + t
                if 0 <= i < lq and 0 <= j < lk:
                    found.append(float(q[i] @ k[j]))
            if found:
                logits[column] = factor * sum(found) / len(found)
        if not logits:
            continue
        share = torch.tensor(list(logits.values()), dtype=torch.float64).softmax(0)
        own = {i // block for i in range(lq) if (i + shift) // stride == group}
        for row in own:
            for column, p in zip(logits, share, strict=True):
                mass[row, column * stride // block] += p
    return mass


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cut=st.sampled_from([(1, 4), (2, 8), (4, 8), (4, 4), (8, 16)]),
    causal=st.booleans(),
)
def test_antidiagonal_is_its_definition(lengths, cut, causal):
    # Padding once took part as keys of zeros: 2.4 % of the mass and 9 of 118 blocks at 2304 tokens.
    # Here ends are ragged and Lk − Lq is anything; what is not there has no part in anything.
    (lq, lk), (stride, block) = lengths, cut
    generator = torch.Generator().manual_seed(lq * 50 + lk)
    q = torch.randn(1, 1, lq, 5, generator=generator, dtype=torch.float64)
    k = torch.randn(1, 1, lk, 5, generator=generator, dtype=torch.float64)
    found = REFERENCE.antidiagonal(q, k, factor=0.7, stride=stride, block=block, causal=causal)
    expected = plain_antidiagonal(q[0, 0], k[0, 0], 0.7, stride, block, causal)
    torch.testing.assert_close(found[0, 0], expected, rtol=1e-10, atol=1e-12)


def test_cells_are_made_in_parts(monkeypatch):
    from foveate.attn.backends.reference import estimate

    q, k = torch.randn(2, 4, 150, 16), torch.randn(2, 2, 220, 16)
    how = {"factor": 0.25, "stride": 4, "block": 16, "causal": True}
    whole = REFERENCE.antidiagonal(q, k, **how)
    monkeypatch.setattr(estimate, "CELLS", 1000)
    torch.testing.assert_close(REFERENCE.antidiagonal(q, k, **how), whole)


def test_heads_and_batches_are_independent():
    q, k = torch.randn(2, 6, 70, 16), torch.randn(2, 2, 90, 16)
    how = {"factor": 0.25, "stride": 8, "block": 32, "causal": True}
    together = REFERENCE.antidiagonal(q, k, **how)
    for b in range(2):
        for h in range(6):
            alone = REFERENCE.antidiagonal(
                q[b : b + 1, h : h + 1], k[b : b + 1, h // 3, None], **how
            )
            torch.testing.assert_close(together[b, h], alone[0, 0])


def test_huge_float16_does_not_overflow_the_estimate():
    # Sums over stride · D products were once kept in float16, which ends at 65504.
    q, k = (300 * torch.randn(1, 1, 256, 128) for _ in range(2))
    how = {"factor": 1e-6, "stride": 16, "block": 128, "causal": True}
    found = REFERENCE.antidiagonal(q.half(), k.half(), **how)
    torch.testing.assert_close(found, REFERENCE.antidiagonal(q, k, **how), rtol=1e-2, atol=1e-3)
    assert REFERENCE.block_means(q.half(), 64, likeness=True)[1].isfinite().all()


def planted(kind: str, at: int) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
    """Faint noise with one strong line in it, 512 tokens; and the block of 128 that holds most."""
    q, k = (0.1 * torch.randn(1, 1, 512, 64) for _ in range(2))
    mark = torch.randn(128, 64)
    mark = 6 * mark / mark.norm(dim=-1, keepdim=True)
    if kind == "vertical":  # all queries of block 2 look at one key of block 1
        q[0, 0, 256:384] += mark[0]
        k[0, 0, 128 + at] += mark[0]
        return q, k, (2, 1)
    if kind == "block":  # all queries of block 2 look at all keys of block 3
        q[0, 0, 256:384] += mark[0]
        k[0, 0, 384:512] += mark[0]
        return q, k, (2, 3)
    # each query of block 2 looks at its own key, `at` tokens into block 0 and on into block 1
    q[0, 0, 256:384] += mark
    k[0, 0, at : at + 128] += mark
    return q, k, (2, 0 if at <= 64 else 1)


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("kind", ["vertical", "slash", "block"])
def test_lines_at_any_offset_are_found(kind, stride):
    for at in (0, 1, 5, 11, 30, 37, 90, 101):
        q, k, (row, column) = planted(kind, at)
        # logits of the line are 36; a cell averages it with stride − 1 others
        mass = REFERENCE.antidiagonal(q, k, factor=1.0, stride=stride, block=128, causal=False)
        assert int(mass[0, 0, row].argmax()) == column, at


def test_diagonals_would_miss_slashes():
    # why *anti*diagonals: read along the diagonal, a slash is met fully or not at all
    q, k, (row, column) = planted("slash", 5)
    mirrored = q.unflatten(2, (-1, 16)).flip(3).flatten(2, 3)
    how = {"factor": 1.0, "stride": 16, "block": 128, "causal": False}
    anti = REFERENCE.antidiagonal(q, k, **how)[0, 0, row, column]
    along = REFERENCE.antidiagonal(mirrored, k, **how)[0, 0, row, column]
    assert anti > 4.5
    assert along < 3  # 2 would be a quarter of the mass of 8 groups, as for any other block


@settings(deadline=None, max_examples=30)
@given(length=st.integers(1, 30), size=st.integers(1, 12), shift=st.booleans())
def test_likeness_is_the_mean_of_all_cosines(length, size, shift):
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(1, 2, length, 6, generator=generator, dtype=torch.float64) + 1
    x[:, :, length // 2] = 0 if not shift else 0.5
    mean = x.mean(2, keepdim=True) if shift else None
    means, likeness = REFERENCE.block_means(x, size, mean, likeness=True)
    y = x if mean is None else x - mean
    for n, part in enumerate(y[0, 1].split(size)):
        torch.testing.assert_close(means[0, 1, n], part.mean(0))
        unit = torch.nn.functional.normalize(part, dim=-1)
        torch.testing.assert_close(likeness[0, 1, n], (unit @ unit.T).mean())
    assert bool((likeness >= 0).all())
    assert bool((likeness <= 1 + 1e-12).all())


def test_likeness_does_not_see_the_length_of_a_token():
    x = torch.randn(1, 1, 32, 8).abs()
    scaled = x * torch.rand(1, 1, 32, 1).add(0.1)
    torch.testing.assert_close(
        REFERENCE.block_means(scaled, 8, likeness=True)[1],
        REFERENCE.block_means(x, 8, likeness=True)[1],
    )
    same = torch.ones(1, 1, 32, 8) * torch.rand(1, 1, 32, 1).add(0.1)
    torch.testing.assert_close(
        REFERENCE.block_means(same, 8, likeness=True)[1], torch.ones(1, 1, 4)
    )
