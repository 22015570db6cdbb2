"""The paper's search and profiling of thresholds."""

from __future__ import annotations

import itertools

import pytest
import torch

from foveate.tune.allocate import allocate
from foveate.tune.thresholds import minimum_thresholds, profile_thresholds


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [1000, 6, 0])
def test_four_heads_with_four_levels_as_by_brute_force(seed, budget):
    torch.manual_seed(seed)
    loss = torch.rand(4, 4).double().cumsum(1)
    density = 1 - torch.rand(4, 4).double().cumsum(1) / 4
    target = float(loss[:, 0].sum()) + 2.0
    found = minimum_thresholds(density, loss, target, budget=budget)
    # for each number of adjustments the choice of least loss; of those the lowest density
    best = {}
    for steps in itertools.product(range(4), repeat=4):
        if sum(steps) <= budget:
            lost = sum(float(loss[h, e]) for h, e in enumerate(steps))
            spent = sum(float(density[h, e]) for h, e in enumerate(steps)) / 4
            best[sum(steps)] = min(best.get(sum(steps), (9e9, 0, ())), (lost, spent, steps))
    within = [x for x in best.values() if x[0] <= target]
    lost, spent, steps = min(within, key=lambda x: x[1])
    assert found.steps == steps
    assert found.loss == pytest.approx(lost)
    assert found.density == pytest.approx(spent)
    assert found.thresholds == pytest.approx([0.9 * 0.9**e for e in steps])


def test_counting_density_is_never_worse_than_counting_steps():
    torch.manual_seed(1)
    loss, density = torch.rand(8, 5).cumsum(1), 1 - torch.rand(8, 5).cumsum(1) / 6
    target = float(loss[:, 0].sum()) + 3.0
    by_steps = minimum_thresholds(density, loss, target)
    by_density = allocate(loss, density, target)
    assert by_density.loss / 8 <= by_steps.density + 1e-9


def test_a_target_that_nothing_reaches_is_refused():
    with pytest.raises(ValueError, match=r"target is 0.5; the least loss that was found is 2"):
        minimum_thresholds(torch.ones(2, 3), torch.ones(2, 3), 0.5)


def test_profiled_threshold_is_the_estimate_above_the_cuts():
    # 90 % of the true mass lie on the first two blocks; the estimate ranks the third between them
    true = torch.tensor([[[0.6, 0.31, 0.05, 0.04]]])
    estimate = torch.tensor([[[0.5, 0.15, 0.2, 0.15]]])
    threshold, density = profile_thresholds([(true, estimate)])
    assert threshold.item() == pytest.approx(1.0)  # the fourth ties with the second
    assert density.item() == 1
    estimate = torch.tensor([[[0.5, 0.18, 0.2, 0.12]]])
    threshold, density = profile_thresholds([(true, estimate)])
    assert threshold.item() == pytest.approx(0.88)
    assert density.item() == 0.75


def test_profiles_of_several_texts_take_the_largest_or_the_mean():
    true = torch.tensor([[[0.95, 0.05, 0.0]]])
    first, second = torch.tensor([[[0.7, 0.2, 0.1]]]), torch.tensor([[[0.5, 0.3, 0.2]]])
    pairs = [(true, first), (true, second)]
    assert profile_thresholds(pairs)[0].item() == pytest.approx(0.7)
    assert profile_thresholds(pairs, reduce="mean")[0].item() == pytest.approx(0.6)
    assert profile_thresholds(pairs)[1].item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coverage": 0.0}, "coverage is 0.0"),
        ({"reduce": "sum"}, 'reduce is "sum"'),
        ({"samples": []}, "samples is empty"),
    ],
)
def test_bad_profiling_arguments_are_named(arguments, message):
    pair = (torch.ones(1, 1, 2), torch.ones(1, 1, 2))
    with pytest.raises(ValueError, match=message):
        profile_thresholds(**{"samples": [pair], **arguments})
