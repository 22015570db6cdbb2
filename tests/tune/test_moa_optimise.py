"""Rules and plans: the grid, what rules cost and lose, and the front of plans."""

from __future__ import annotations

import pytest
import torch

from foveate.tune.moa.optimise import Problem, front, normalised, programs, shared
from foveate.tune.moa.rules import Rules, candidates, told_apart

pytest.importorskip("scipy", reason="pip install scipy")

LENGTHS = (256, 512, 1024)


def windows(layers=3, heads=4, lengths=LENGTHS, seed=0, block=16):
    """Losses that fall with the width of the window, some heads near, some far."""
    g = torch.Generator().manual_seed(seed)
    reach = torch.rand(layers, heads, 1, generator=g).double() * 400 + 10
    size = torch.rand(layers, heads, 1, generator=g).double() ** 3
    found = {}
    for n in lengths:
        width = torch.arange(n // block + 1).double() * block
        loss = size * torch.exp(-width / (reach + 0.1 * n * size))
        found[n] = loss - loss[..., -1:]
    return found


def problem(density=0.5, **options):
    rules = candidates(LENGTHS, (1536,), sink=16, block=16)
    return Problem(rules, windows(), density, (1536,), **options)


def test_the_grid_has_as_many_rules_as_the_published_one():
    lengths, beyond = (2048, 4096, 8192), (12288, 16384)
    rules = candidates(lengths, beyond)
    assert len(rules) == 48
    assert set(rules.alphas) == {-1024, *range(0, 8193, 1024)}
    coarse = [float(a) for a in torch.linspace(-2048, 8192, 6)]
    assert len(candidates(lengths, beyond, alphas=coarse)) == 24
    spans = [a + b * 16384 for a, b in zip(rules.alphas, rules.betas, strict=True)]
    assert spans == sorted(spans)
    assert spans[-1] == 16384


def test_density_by_hand():
    rules = Rules((0.0, 1024.0, -1024.0, 0.0), (0.5, 0.0, 0.5, 1.0))
    assert rules.density(4096).tolist() == [0.5, 0.25, 0.25, 1.0]
    assert rules.density(2048).tolist() == [0.5, 0.5, 128 / 2048, 1.0]
    # the original: a sink block beside int(α // 64 + β · 32) blocks, at least one
    rules = Rules(rules.alphas, rules.betas, meaning="profile")
    assert rules.density(2048).tolist() == [17 / 32, 17 / 32, 2 / 32, 1.0]
    with pytest.raises(ValueError, match='meaning is "paper"'):
        Rules((0.0,), (0.5,), meaning="paper")


def test_of_rules_that_are_equal_the_one_that_grows_is_kept():
    rules = Rules((512.0, 256.0, 0.0, 0.0), (0.0, 0.5, 1.0, 0.5))
    kept = told_apart(rules, (256, 512))  # the first three keep all of both
    assert (kept.alphas, kept.betas) == ((0.0, 0.0), (1.0, 0.5))
    assert told_apart(rules, (256, 512, 1024)) == rules


def test_loss_is_that_of_the_window_beside_the_sink():
    table = torch.arange(65.0).flip(0)  # 64 − w for 4096 tokens
    rules = Rules((0.0, 1024.0, -1024.0, 0.0), (0.5, 0.0, 0.5, 1.0))
    assert rules.loss(table, 4096).tolist() == [64 - 31, 64 - 15, 64 - 15, 64 - 63]
    rules = Rules(rules.alphas, rules.betas, meaning="profile")
    assert rules.loss(table, 4096).tolist() == [64 - 32, 64 - 16, 64 - 16, 0]


def test_a_grid_without_rules_is_refused():
    with pytest.raises(ValueError, match="no rule fits the lengths"):
        candidates((256,), alphas=[512.0], betas=[0.0])
    with pytest.raises(ValueError, match="lengths is"):
        candidates(())


@pytest.mark.parametrize("density", [0.75, 0.5, 0.25])
@pytest.mark.parametrize("distinct", [1, 2, None])
def test_plans_keep_within_everything_and_beat_one_rule_for_all(density, distinct):
    given = problem(density, distinct=distinct)
    found = front(given, intervals=1, seconds=5)
    cost, losses = given.cost, given.loss
    single = [
        losses[:, :, :, r].sum((1, 2))
        for r in range(len(given.rules))
        if bool((cost[:, r] <= density).all())
    ]
    assert single
    for one in found:
        assert bool((one.density <= density + 1e-9).all())
        assert all(len(row.unique()) <= (distinct or 4) for row in one.choice)
        assert one.solution.gap < 0.02
        # the plan's numbers are those of its rules
        mean = cost[:, one.choice].mean((1, 2))
        torch.testing.assert_close(one.density, mean)
    for length in range(3):  # some plan is at least as good as any single rule
        best = min(float(one.losses[length]) for one in found)
        assert best <= min(float(s[length]) for s in single) + 1e-9


def test_no_plan_of_the_front_is_worse_in_every_loss():
    found = front(problem(0.4), intervals=2, seconds=5)
    for a in found:
        for b in found:
            assert a is b or bool((a.losses > b.losses).any())
    last = [float(one.losses[-1]) for one in found]
    assert last == sorted(last)


def test_more_rules_a_layer_are_never_worse():
    best = [
        min(float(f.losses[-1]) for f in front(problem(0.4, distinct=d), intervals=1, seconds=5))
        for d in (1, 2, None)
    ]
    assert best[0] >= best[1] - 1e-6 >= best[2] - 2e-6


def test_a_least_density_is_kept_to():
    given = problem(0.5, least=0.9)
    for one in front(given, intervals=1, seconds=5):
        assert bool((one.density >= 0.45 - 1e-9).all())


def test_one_length_needs_one_program():
    rules = candidates((1024,), sink=16, block=16)
    ticks = []
    given = Problem(rules, windows(lengths=(1024,)), 0.5)
    found = front(given, tick=ticks.append)
    assert len(found) == len(ticks) == programs(1) == 1
    assert programs(3) == 3 + 48


def test_heads_that_share_keys_are_joined_with_their_neighbours():
    x = torch.arange(12.0).view(1, 6, 2)  # 6 query heads, 2 for each of 3 key heads
    assert shared(x, 2).tolist() == [[[2, 4], [10, 12], [18, 20]]]
    assert shared(x, 2, "max").tolist() == [[[2, 3], [6, 7], [10, 11]]]
    with pytest.raises(ValueError, match='how is "mean"'):
        shared(x, 2, "mean")


def test_losses_may_count_as_shares():
    x = torch.tensor([[[2.0, 1.0], [8.0, 4.0]]])
    assert normalised(x, "head").tolist() == [[[1, 0.5], [1, 0.5]]]
    assert normalised(x, "layer").tolist() == [[[0.25, 0.125], [1, 0.5]]]
    assert normalised(x, None) is x
    with pytest.raises(ValueError, match='by is "model"'):
        normalised(x, "model")


def test_budgets_that_cannot_be_kept_are_refused():
    with pytest.raises(ValueError, match=r"budget \d is .*; the cheapest options alone cost"):
        front(problem(0.01))
    for density in (0, 1.5, [0.5, 0.5]):
        with pytest.raises(ValueError, match="density is"):
            problem(density)
