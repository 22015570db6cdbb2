"""The rule that spends a budget: against a greedy loop, and the cases that went wrong elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.attn.layouts.budget import DRIFT, Budget, choose


def visits(scores, budget, allowed=None, kept=None):
    """The blocks that one row of scores visits, as a set."""
    scores = torch.as_tensor(scores, dtype=torch.float64).view(1, 1, 1, -1)
    everything = torch.ones_like(scores, dtype=torch.bool)
    marks = [
        everything if x is None else torch.tensor(x).view(1, 1, -1).expand(1, 1, -1)
        for x in (allowed, kept if kept is not None else [False] * scores.shape[-1])
    ]
    counts, indices = choose(scores, budget, *marks)
    assert counts.dtype == indices.dtype == torch.int32
    assert indices.shape == scores.shape
    found = indices[0, 0, 0, : int(counts)].tolist()
    assert found == sorted(set(found))
    assert 0 <= int(indices.min()) <= int(indices.max()) < scores.shape[-1]
    return set(found)


def greedy(scores, budget, allowed, kept):
    """The same rule as a loop over blocks."""
    size = len(scores)
    value = [0.0 if not s > 0 else s for s in scores]
    may = [j for j in range(size) if allowed[j]]
    sure = {j for j in may if kept[j]}
    total = math.fsum(value[j] for j in may)
    if budget.mass is not None and budget.mass >= 1:
        return set(may)
    ranked = sorted(may, key=lambda j: (not (budget.kept_first and j in sure), -value[j], j))
    if budget.kept_first:
        ranked = sorted(sure) + [j for j in ranked if j not in sure]
    taken = set()
    if total > 0:
        least = max(budget.at_least, len(sure) if budget.kept_first else 0)
        if budget.count is not None:
            room = len(may) if budget.count_of == "visible" else size
            count = budget.count
            if isinstance(count, float):
                count = max(1, math.floor(count * room + 1e-9))
            taken = set(ranked[: max(count, least)])
        else:
            drift = -DRIFT if budget.inclusive else DRIFT
            required, collected = (budget.mass + drift) * total, 0.0
            for rank, j in enumerate(ranked):
                if budget.inclusive:
                    wanted = collected < required
                else:
                    wanted = collected + value[j] <= required or rank == 0
                if not wanted and rank >= least:
                    break
                collected += value[j]
                taken.add(j)
    taken |= sure
    best = max(may, key=lambda j: (value[j], -j), default=None)
    return taken or ({best} if best is not None else set())


# eighths add up without rounding, so that the loop and the sums agree exactly; and some odd values
SCORES = st.lists(
    st.one_of(st.integers(0, 16).map(lambda n: n / 8), st.sampled_from([float("nan"), -1.0])),
    min_size=1,
    max_size=9,
)
MARKS = st.lists(st.booleans(), min_size=9, max_size=9)
BUDGETS = st.one_of(
    st.builds(
        Budget,
        mass=st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.9, 1.0]),
        inclusive=st.booleans(),
        at_least=st.integers(0, 4),
        kept_first=st.booleans(),
    ),
    st.builds(
        Budget,
        count=st.sampled_from([1, 3, 20, 0.1, 0.29, 0.5, 1.0]),
        kept_first=st.booleans(),
        count_of=st.sampled_from(["all", "visible"]),
    ),
)


@settings(deadline=None, max_examples=300)
@given(scores=SCORES, budget=BUDGETS, allowed=MARKS, kept=MARKS)
def test_rule_is_the_greedy_loop(scores, budget, allowed, kept):
    allowed, kept = allowed[: len(scores)], kept[: len(scores)]
    assert visits(scores, budget, allowed, kept) == greedy(scores, budget, allowed, kept)


@pytest.mark.parametrize(("mass", "number"), [(0.5, 1), (0.8, 2), (0.85, 3), (0.95, 4)])
def test_smallest_set_that_reaches_the_mass(mass, number):
    # A total summed in float32 came out slightly above 1, and one block more than needed was kept.
    scores = torch.tensor([0.5, 0.3, 0.1, 0.06, 0.04])
    assert visits(scores, Budget(mass)) == set(range(number))


@pytest.mark.parametrize(
    ("mass", "blocks"),
    [(0.0, {0, 5}), (0.3, {0, 4, 5}), (0.61, {0, 1, 4, 5}), (0.9, {0, 1, 2, 4, 5})],
)
def test_kept_blocks_come_first_and_their_mass_counts(mass, blocks):
    # The first chunk once counted two kept blocks where there was one, and kept one block too many.
    kept = [True, False, False, False, False, True]
    scores = [0, 0.3, 0.1, 0.06, 0.5, 0.04]
    assert visits(scores, Budget(mass, kept_first=True), kept=kept) == blocks


@pytest.mark.parametrize(
    ("scores", "mass", "exclusive", "inclusive"),
    [([0.95, 0.05], 0.9, {0}, {0}), ([0.6, 0.35, 0.05], 0.9, {0}, {0, 1})],
)
def test_exclusive_rule_leaves_the_crossing_block_out(scores, mass, exclusive, inclusive):
    assert visits(scores, Budget(mass, inclusive=False)) == exclusive
    assert visits(scores, Budget(mass)) == inclusive


def test_a_block_that_fits_exactly_is_not_left_out_by_rounding():
    # 0.1 + 0.2 is more than 0.3 in floating point
    for scores in ([0.2, 0.1, 0.3, 0.4], torch.tensor([0.2, 0.1, 0.3, 0.4])):
        assert visits(scores, Budget(0.7, inclusive=False)) == {2, 3}
        assert visits(scores, Budget(0.9, inclusive=False)) == {0, 2, 3}
        assert visits(scores, Budget(0.9)) == {0, 2, 3}


def test_row_without_any_mass_visits_what_is_kept_or_else_one_block():
    # A row of NaN once ended in no block at all, and its output was never written.
    nan = float("nan")
    for scores in ([0.0, 0.0, 0.0], [nan, nan, nan]):
        assert visits(scores, Budget(0.9), kept=[False, True, False]) == {1}
        assert visits(scores, Budget(0.9)) == {0}
        assert visits(scores, Budget(0.9), allowed=[False, False, True]) == {2}
        assert visits(scores, Budget(0.9), allowed=[False] * 3) == set()
        assert visits(scores, Budget(1.0), allowed=[False, True, True]) == {1, 2}


def test_ties_go_to_the_lower_index():
    assert visits([1.0] * 6, Budget(count=2)) == {0, 1}
    assert visits([1.0] * 6, Budget(0.5)) == {0, 1, 2}


def test_all_fractions_of_exact_counts_are_exact():
    for tenths in range(1, 11):
        assert len(visits(torch.rand(30), Budget(count=tenths / 10))) == 3 * tenths
    assert len(visits(torch.rand(100), Budget(count=0.29))) == 29


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.lists(st.floats(0, 1), min_size=7, max_size=7), min_size=1, max_size=3),
    kept_first=st.booleans(),
    inclusive=st.booleans(),
)
def test_maps_grow_with_the_budget(rows, kept_first, inclusive):
    scores = torch.tensor(rows).view(1, 1, -1, 7)
    allowed = torch.ones(1, 1, 7, dtype=torch.bool)
    kept = torch.tensor([True] + [False] * 6).view(1, 1, 7)
    shared = {"inclusive": inclusive, "kept_first": kept_first}
    ladder = [Budget(m, **shared) for m in (0.1, 0.4, 0.7, 0.95, 1.0)]
    ladder_of_counts = [Budget(count=n, kept_first=kept_first) for n in (1, 2, 0.5, 5, 1.0)]
    for steps in (ladder, ladder_of_counts):
        last = None
        for budget in steps:
            counts, indices = choose(scores, budget, allowed, kept)
            marks = torch.zeros_like(scores, dtype=torch.bool)
            used = torch.arange(7) < counts.unsqueeze(-1)
            marks.scatter_(-1, indices.long(), used)
            assert last is None or bool((marks | ~last).all())
            last = marks


def test_each_head_may_have_its_own_amount():
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).expand(2, 3, 1, 4)
    allowed, kept = torch.ones(1, 1, 4, dtype=torch.bool), torch.zeros(1, 1, 4, dtype=torch.bool)
    counts, _ = choose(scores, Budget((0.4, 0.7, 1.0)), allowed, kept)
    assert counts[:, :, 0].tolist() == [[1, 2, 4]] * 2
    counts, _ = choose(scores, Budget(count=(1, 0.5, 3)), allowed, kept)
    assert counts[:, :, 0].tolist() == [[1, 2, 3]] * 2
    with pytest.raises(ValueError, match="budget has 2 values; expected one, or one per head, 3"):
        choose(scores, Budget((0.4, 0.7)), allowed, kept)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "none of mass, count and share"),
        ({"mass": 0.9, "count": 3}, "has mass and count; expected exactly one"),
        ({"mass": 1.5}, "Budget.mass is 1.5; expected a share from 0 to 1"),
        ({"mass": (0.5, -1.0)}, "expected a share from 0 to 1"),
        ({"count": 0}, "Budget.count is 0; expected an int of at least 1"),
        ({"count": 1.5}, "a float in"),
        ({"mass": 0.5, "at_least": -1}, "Budget.at_least is -1"),
        ({"count": 1, "count_of": "some"}, 'expected "all" or "visible"'),
    ],
)
def test_senseless_budgets_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Budget(**fields)


def test_flags_of_a_budget_are_bools():
    with pytest.raises(TypeError, match=r"Budget\.inclusive is 1; expected a bool"):
        Budget(0.5, inclusive=1)
