"""Sparge: golden maps, the judge, growing budgets, and inputs that once broke the map."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate import BlockLayout, Sparge, attention, plan
from foveate.attn.layouts.budget import Budget, choose
from foveate.attn.layouts.rules import block_regions
from tests.attn.kit import inputs, rows_of, visited, waves

SMALL = (16, 8)


def scores_of(select, q, k, **options):
    made = plan(q, k, k, select="dense", backend="reference", **options)
    return select.scores(q, k, made.request, made.kernels)


@pytest.mark.parametrize(
    ("causal", "expected"),
    [
        (
            False,
            [
                [0.545699, 0.302387, 0.111952, 0.031663, 0.008298],
                [0.242931, 0.281150, 0.242099, 0.155685, 0.078135],
                [0.044353, 0.074175, 0.143221, 0.278014, 0.460236],
            ],
        ),
        (
            True,
            [
                [0.643448, 0.356552, 0, 0, 0],
                [0.263521, 0.304979, 0.262618, 0.168881, 0],
                [0.044353, 0.074175, 0.143221, 0.278014, 0.460236],
            ],
        ),
    ],
    ids=["all", "causal"],
)
@pytest.mark.parametrize("smooth_k", [True, False])
def test_golden_scores(causal, expected, smooth_k):
    q, k = waves(20)
    select = Sparge(0.7, similarity=0.6 if smooth_k else None, block=(8, 4), smooth_k=smooth_k)
    found = scores_of(select, q, k, causal=causal, scale=0.5)[0, 0]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("rule", "causal", "before", "after"),
    [
        # before: as the paper chooses; after: with the first block and the diagonal, always visited
        ("exclusive", False, "10000/11000/00001", "10000/11000/00001"),
        ("inclusive", False, "11000/11100/00011", "11000/11100/00011"),
        ("exclusive", True, "10000/11000/00001", "11000/11110/10001"),
        ("inclusive", True, "11000/11100/00011", "11000/11110/10011"),
    ],
)
def test_golden_maps(rule, causal, before, after):
    q, k = waves(20)
    select = Sparge(0.7, similarity=0.6, rule=rule, block=(8, 4))
    found = visited(select, q, k, causal=causal, scale=0.5)
    assert "/".join(rows_of(found[0, 0])) == after
    allowed, _ = block_regions(None, (20, 20), (8, 4))
    scores = scores_of(select, q, k, causal=causal, scale=0.5)
    budget = Budget(0.7, inclusive=rule == "inclusive")
    counts, indices = choose(scores, budget, allowed, torch.zeros_like(allowed))
    chosen = BlockLayout(counts, indices, (8, 4), (20, 20)).to_dense()
    assert "/".join(rows_of(chosen[0, 0])) == before
    if rule == "exclusive" and causal:  # the diagonal alone
        diagonal = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]).bool()
        counts, indices = choose(scores, budget, allowed, diagonal)
        chosen = BlockLayout(counts, indices, (8, 4), (20, 20)).to_dense()
        assert "/".join(rows_of(chosen[0, 0])) == "11000/11110/00001"


def test_golden_number_of_blocks():
    q, k = waves(20)
    found = visited(Sparge(keep=0.5, block=(8, 4)), q, k, scale=0.5)
    assert "/".join(rows_of(found[0, 0])) == "11000/11000/00011"


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
@pytest.mark.parametrize("lengths", [(100, 100), (77, 130), (33, 41)], ids=str)
def test_everything_kept_is_dense_attention(causal, lengths):
    q, k, v = inputs(2, 4, 2, *lengths)
    expected = attention(q, k, v, causal=causal, precision="native")
    for select in (Sparge(1.0, block=SMALL), Sparge(keep=1.0, block=SMALL)):
        layout = BlockLayout.from_dense(visited(select, q, k, causal=causal), SMALL, lengths)
        out = attention(q, k, v, causal=causal, select=layout, precision="native")
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
        made = plan(q, k, v, select=select, causal=causal)
        assert "leaves nothing out" in made.explain()
        out = made.run(q, k, v)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 50), causal=st.booleans(), rule=st.sampled_from(["inclusive", "exclusive"])
)
def test_maps_grow_with_threshold_and_number(seed, causal, rule):
    q, k, _ = inputs(1, 2, 1, 100, 130, seed=seed)
    ladders = [
        [Sparge(t, rule=rule, block=SMALL) for t in (0.2, 0.5, 0.8, 0.95)],
        [Sparge(keep=n, block=SMALL) for n in (0.1, 3, 0.3, 0.7)],
        [Sparge(keep=n, block=SMALL, count_of="visible") for n in (0.1, 0.3, 0.7)],
        [Sparge(0.5, at_least=n, block=SMALL) for n in (0, 2, 5)],
    ]
    for ladder in ladders:
        last = None
        for select in ladder:
            found = visited(select, 2 * q, k, causal=causal)
            assert last is None or bool((found | ~last).all())
            last = found


def test_a_stricter_judge_only_adds_blocks():
    q, k, _ = inputs(1, 2, 1, 96, 128)
    k = k + 2 * torch.randn(1, 1, 16, 1, 32).expand(1, 1, 16, 8, 32).flatten(2, 3)
    for base in (None, 0.05, 0.2, 0.4):
        found = visited(Sparge(keep=3, similarity=base, block=SMALL), q, k)
        for stricter in (0.5, 0.9, 1.0):
            more = visited(Sparge(keep=3, similarity=stricter, block=SMALL), q, k)
            assert bool((more | ~found).all())
    assert bool(more.all())  # nothing is more alike than 1


def test_blocks_of_unlike_tokens_are_always_visited_and_attract_nobody():
    # one block of keys holds many directions; its mean is near zero after smoothing
    q, k = torch.randn(1, 1, 1, 32) + torch.zeros(1, 1, 96, 1), torch.zeros(1, 1, 96, 32)
    for n in range(12):
        k[0, 0, 8 * n : 8 * n + 8] = torch.randn(32)
    k[0, 0, 40:48] = torch.randn(8, 32)
    q[0, 0, 16:32] = torch.randn(16, 32)
    q, k = q + 0.01 * torch.randn_like(q), k + 0.01 * torch.randn_like(k)
    select = Sparge(0.3, similarity=0.6, block=SMALL)
    found, scores = visited(select, q, k)[0, 0], scores_of(select, q, k)[0, 0]
    assert bool(found[:, 5].all())  # the column of unlike keys
    assert bool(found[1].all())  # the row of unlike queries
    assert float(scores[:, 5].max()) == 0
    torch.testing.assert_close(scores.sum(-1), torch.ones(6))
    assert int(found[0].sum()) < 6
    assert not bool(visited(Sparge(0.3, block=SMALL), q, k)[0, 0, 1].all())


def test_every_negative_similarity_is_the_judge_off():
    # Half the grid of the released tuner lay below 0, where nothing differs, except that ragged
    # last blocks divided by zero and were always visited.
    q, k, _ = inputs(1, 2, 1, 100, 131)
    off = visited(Sparge(0.5, block=SMALL), q, k)
    for theta in (-0.01, -0.1, -0.9375, -1.0):
        assert torch.equal(visited(Sparge(0.5, similarity=theta, block=SMALL), q, k), off)
    assert not bool(off[..., -1].all())
    tail = visited(Sparge(0.5, keep_tail=True, block=SMALL), q, k)
    assert bool(tail[..., -1].all())
    assert bool(tail[:, :, -1].all())
    assert torch.equal(tail[:, :, :-1, :-1], off[:, :, :-1, :-1])


def test_every_query_sees_itself():
    # With blocks of 128 queries and 64 keys a row once kept only its second diagonal block, and
    # its first 64 queries saw no key at all; their output was never written.
    for lengths in ((100, 100), (70, 117), (41, 33)):
        q, k, v = inputs(1, 2, 1, *lengths)
        select = Sparge(0.05, rule="exclusive", block=SMALL)
        layout = BlockLayout.from_dense(visited(select, q, k, causal=True), SMALL, lengths)
        own = torch.arange(lengths[0]) + lengths[1] - lengths[0]
        inside = own >= 0
        assert bool(layout.to_mask()[:, :, inside, own[inside]].all())
        out, lse = attention(q, k, v, select=layout, causal=True, return_lse=True)
        assert bool(lse[:, :, inside].isfinite().all())
        assert bool(out.isfinite().all())


@pytest.mark.parametrize("kind", ["zero keys", "constant keys", "zero queries", "one token tail"])
def test_degenerate_inputs_give_numbers(kind):
    q, k, v = inputs(1, 2, 1, 97 if kind == "one token tail" else 96, 97)
    if kind == "zero keys":
        k.zero_()
    if kind == "constant keys":
        k[:] = k[:, :, :1]
    if kind == "zero queries":
        q.zero_()
    for similarity in (None, 0.0, 0.5, 1.0):
        select = Sparge(0.7, similarity=similarity, block=SMALL)
        for causal in (False, True):
            assert bool(visited(select, q, k, causal=causal).any(-1).all())
            out = attention(q, k, v, select=select, causal=causal)
            assert bool(out.isfinite().all())


def test_all_keys_unlike_leaves_rows_of_zeros_and_visits_everything():
    # A softmax over nothing but −inf once filled the row with NaN.
    q, k, _ = inputs(1, 1, 1, 96, 96)
    select = Sparge(0.5, similarity=1.0, block=SMALL)
    assert float(scores_of(select, q, k).abs().max()) == 0
    assert bool(visited(select, q, k).all())


def test_not_a_number_does_not_reach_the_layout():
    q, k, _ = inputs(1, 1, 1, 96, 96)
    k[0, 0, 50] = float("nan")
    for select in (Sparge(0.5, block=SMALL), Sparge(0.5, similarity=0.3, block=SMALL)):
        assert bool(visited(select, q, k, causal=True).any(-1).all())


def test_later_tokens_never_change_earlier_rows():
    q, k, v = inputs(1, 2, 1, 128, 128)
    # the mean key knows every token; without it earlier rows are the same to the last bit
    select = Sparge(0.5, smooth_k=False, similarity=0.04, block=SMALL)
    run = {"select": select, "causal": True, "backend": "reference", "precision": "native"}
    found, out = visited(select, q, k, causal=True), attention(q, k, v, **run)
    smoothed = attention(q, k, v, **{**run, "select": Sparge(0.5, block=SMALL)})
    for x in (q, k, v):
        x[:, :, 64:] += 5 * torch.randn_like(x[:, :, 64:])
    assert torch.equal(visited(select, q, k, causal=True)[:, :, :4], found[:, :, :4])
    assert torch.equal(attention(q, k, v, **run)[:, :, :64], out[:, :, :64])
    other = attention(q, k, v, **{**run, "select": Sparge(0.5, block=SMALL)})
    torch.testing.assert_close(other[:, :, :64], smoothed[:, :, :64], rtol=1e-4, atol=1e-4)


def test_heads_and_batches_are_independent():
    q, k, _ = inputs(2, 6, 2, 100, 130)
    select = Sparge(
        (0.3, 0.5, 0.7, 0.9, 0.6, 0.4), similarity=(-1, 0.1, 0.2, 0.3, 0.05, 0), block=SMALL
    )
    found = visited(select, q, k)
    assert torch.equal(found, visited(select, q, k.repeat_interleave(3, 1)))
    for b in range(2):
        for h in range(6):
            alone = Sparge(select.threshold[h], similarity=select.similarity[h], block=SMALL)
            one = visited(alone, q[b : b + 1, h : h + 1], k[b : b + 1, h // 3, None])
            assert torch.equal(found[b, h], one[0, 0])
    assert torch.equal(visited(select, q.flip(0), k.flip(0)), found.flip(0))


def test_smoothing_changes_only_what_the_judge_sees():
    q, k, _ = inputs(1, 2, 1, 100, 130)
    assert torch.equal(
        visited(Sparge(0.6, block=SMALL), q, k),
        visited(Sparge(0.6, smooth_k=False, block=SMALL), q, k),
    )
    biased = k + 20  # every two keys are alike until their common part is taken away
    judged = {"similarity": 0.5, "block": SMALL}
    assert not bool(visited(Sparge(0.6, smooth_k=False, **judged), q.abs(), biased).all())
    assert bool(visited(Sparge(0.6, **judged), q.abs(), biased).all())
